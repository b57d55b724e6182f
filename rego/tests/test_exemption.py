"""What an exemption covers. Without an answer for any image, admitted means exempt."""

import pytest

from engine import answer, messages, pod

DIGEST = "sha256:" + "c" * 64

# (entry, image, exempt)
CASES = [
    # a whole reference covers itself, as written
    ("registry.io/team/app:v1", "registry.io/team/app:v1", True),
    ("registry.io/team/app", "registry.io/team/app", True),
    ("nginx", "nginx", True),
    ("registry.io/team/app", "registry.io/team/app:v1", False),
    ("registry.io/team/app", "registry.io/team/app:latest", False),
    ("registry.io/team/app:v1", "registry.io/team/app:v10", False),
    ("registry.io/team/app:v1", f"registry.io/team/app:v1@{DIGEST}", False),
    ("registry.io/team/app:v1", f"registry.io/team/app@{DIGEST}", False),
    ("registry.io/team/app:v1", "registry.io/team/app:V1", False),
    # short names are not expanded, in neither direction
    ("nginx", "docker.io/library/nginx", False),
    ("nginx", "docker.io/library/nginx:latest", False),
    ("docker.io/library/nginx", "nginx", False),
    ("docker.io/library/*", "nginx", False),
    ("docker.io/*", "nginx", False),
    # but a registry has one spelling, in the entry and in the image: case, port 443, a dot at the end, Docker Hub's names
    ("registry.io/team/app:v1", "REGISTRY.IO/team/app:v1", True),
    ("Registry.IO/team/app:v1", "registry.io/team/app:v1", True),
    ("registry.io/team*", "Registry.io/team/app", True),
    ("registry.io/team/*", "registry.io:443/team/app", True),
    ("registry.io:443/team/*", "registry.io/team/app", True),
    ("registry.io:0443/team/*", "registry.io/team/app", True),
    ("registry.io./team/*", "registry.io:443/team/app", True),
    ("registry.io.:443/team/app", "registry.io/team/app", True),
    ("registry.io:05000/team/*", "registry.io:5000/team/app", True),
    ("LOCALHOST/app", "localhost/app", True),
    ("[FD00::1]:443/team/*", "[fd00::1]/team/app:v1", True),
    ("docker.io/library/*", "index.docker.io/library/nginx", True),
    ("docker.io/library/*", "registry-1.docker.io/library/nginx", True),
    ("docker.io/library/*", "index.docker.io:443/library/nginx", True),
    ("index.docker.io:443/library/nginx:1", "docker.io/library/nginx:1", True),
    ("docker.io/library/nginx", "docker.io/nginx", True),
    ("docker.io/nginx", "registry-1.docker.io/library/nginx", True),
    ("docker.io/nginx:*", "docker.io/library/nginx:1", True),
    ("docker.io/*", "index.docker.io/team/app", True),
    ("docker.io/team*", "docker.io/team-other/app", True),
    # Docker Hub's own images have one spelling for a prefix: with `library/` where the prefix names that whole, else without
    ("docker.io/ng*", "docker.io/library/nginx", True),
    ("docker.io/ng*", "index.docker.io/nginx:1", True),
    ("docker.io/l*", "docker.io/linux", True),
    ("docker.io/l*", "docker.io/library/linux:1", True),
    ("docker.io/l*", "docker.io/linuxserver/app", True),
    ("docker.io/l*", "docker.io/evil", False),
    ("docker.io/l*", "docker.io/library/evil", False),
    ("docker.io/l*", "index.docker.io:443/evil:v1", False),
    ("registry-1.docker.io/l*", f"docker.io/evil@{DIGEST}", False),
    ("docker.io/librar*", "docker.io/library/evil", False),
    ("docker.io/library/l*", "docker.io/linux", True),
    ("docker.io/library/l*", "docker.io/library/evil", False),
    ("docker.io/library/l*", "docker.io/linuxserver/app", False),
    ("docker.io/library*", "docker.io/nginx", True),
    ("docker.io/library*", "docker.io/library/nginx", True),
    ("docker.io/library*", "docker.io/team/nginx", False),
    ("docker.io/library-*", "docker.io/library-two/app", True),
    ("docker.io/library-*", "docker.io/library/library-two", True),
    ("docker.io/library-*", "docker.io/library/nginx", False),
    ("docker.io/library/*", "docker.io/library/team/app", True),
    ("docker.io/team/*", "docker.io/library/team/app", False),
    ("docker.io/l*", "docker.io/library/team/app", True),
    ("registry.io/l*", "registry.io/library/evil", True),
    ("registry.io/l*", "registry.io/evil", False),
    ("library/*", "library/nginx", True),
    ("library/*", "docker.io/nginx", False),
    ("l/*", "library/nginx", False),
    # and none that another registry might have
    ("registry.io/team/*", "registry.io:80/team/app", False),
    ("registry.io:80/team/*", "registry.io/team/app", False),
    ("registry.io:80/team/*", "registry.io:443/team/app", False),
    ("registry.io/team/*", "registry.io:4430/team/app", False),
    ("registry.io/team/*", "registry.io:0443/team/app", False),
    ("registry.io/team/*", "registry.io:0/team/app", False),
    ("registry.io:0/team/*", "registry.io/team/app", False),
    ("registry.io:/team/*", "registry.io/team/app", False),
    ("registry.io/team/*", "registry.io./team/app", False),
    ("registry.io/team/*", "registry.io../team/app", False),
    ("registry.io:5000/team/*", "registry.io:443/team/app", False),
    ("docker.io/library/*", "index.docker.io:5000/library/nginx", False),
    ("docker.io/library/*", "docker.io.attacker.example/library/nginx", False),
    ("docker.io/nginx", "docker.io/team/nginx", False),
    ("team/*", "Team/app", False),
    ("team/*", "docker.io/team/app", False),
    ("docker.io/team/*", "team/app", False),
    ("registry.io/team/app:V1", "registry.io/team/app:v1", False),
    # a prefix covers all that starts with it, so it should end where a name ends
    ("registry.io/team*", "registry.io/team", True),
    ("registry.io/team*", "registry.io/team/app:v1", True),
    ("registry.io/team*", "registry.io/team-other/app:v1", True),
    ("registry.io/team*", "registry.io/teams", True),
    ("registry.io/team*", "registry.io.attacker.example/team/app", False),
    ("registry.io/team*", "attacker.example/registry.io/team/app", False),
    ("registry.io/team*", "registry.io:5000/team/app", False),
    ("registry.io/team/*", "registry.io/team/app:v1", True),
    ("registry.io/team/*", "registry.io/team/sub/app:v1", True),
    ("registry.io/team/*", f"registry.io/team/app@{DIGEST}", True),
    ("registry.io/team/*", "registry.io/team-other/app:v1", False),
    ("registry.io/team/*", "registry.io/team", False),
    ("registry.io/team/app:*", "registry.io/team/app:v1", True),
    ("registry.io/team/app:*", f"registry.io/team/app:v1@{DIGEST}", True),
    ("registry.io/team/app:*", "registry.io/team/app", False),
    ("registry.io/team/app:*", "registry.io/team/app2:v1", False),
    ("registry.io/team/app@*", f"registry.io/team/app@{DIGEST}", True),
    ("nginx@*", f"nginx@{DIGEST}", True),
    ("[fd00::1]:5000/team/*", "[fd00::1]:5000/team/app:v1", True),
    # what a runtime might read in another way is never exempt
    ("registry.io/team/*", "registry.io/team/../other/app", False),
    ("registry.io/team/*", "registry.io/team/./app", False),
    ("registry.io/team/*", "registry.io/team//app", False),
    ("registry.io/team/*", "registry.io/team/", False),
    ("registry.io/team/*", "registry.io/team/app ", False),
    ("registry.io/team/*", "registry.io/team/app\n", False),
    ("registry.io/team/*", "registry.io/team/app\nattacker.example/app", False),
    ("registry.io/team/*", "registry.io/team/App", False),
    ("registry.io/team/*", "registry.io/team/app%2f..", False),
    ("registry.io/team/*", "registry.io/team/app?x", False),
    ("registry.io/team/*", "registry.io/team/app#x", False),
    ("registry.io/team/*", "registry.io/team/app:v1:v2", False),
    ("registry.io/team/*", "registry.io/team/app@sha256:zz", False),
    ("registry.io/team/*", "registry.io/team/\uff41pp", False),
    ("registry.io/team/*", "https://registry.io/team/app", False),
    ("registry.io/team/*", "user@registry.io/team/app", False),
    ("[team-b]registry.io/team/app", "[team-b]registry.io/team/app", False),
]


@pytest.mark.parametrize("entry,image,exempt", CASES)
def test_exemption(entry, image, exempt):
    found = messages(pod(image), answer(), {"exemptImages": [entry]})
    assert (found == []) == exempt, found
    if not exempt:
        assert not any("parameters" in message for message in found), found


# A prefix that does not fix the registry, and a * anywhere but at the end, is refused: such an entry does not mean what
# whoever wrote it thinks. The constraint then admits nothing and says which entry it is.
@pytest.mark.parametrize(
    "entry", ["*", "registry.io*", "nginx*", "nginx:*", "registry.io/*/app", "*/app", "registry.io/**", "", " ", None, ["nginx"]]
)
def test_entries_that_are_refused(entry):
    found = messages(pod("nginx"), answer(), {"exemptImages": ["nginx", entry]})
    assert len(found) == 1
    assert "exemptImages entry" in found[0]


def test_one_exempt_image_does_not_carry_the_others():
    found = messages(pod("nginx", "redis"), answer(), {"exemptImages": ["nginx"]})
    assert len(found) == 1
    assert "Subject failed verification: redis - " in found[0]
