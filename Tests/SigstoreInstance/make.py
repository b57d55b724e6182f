"""Makes Sigstore instances and what is signed with them. Needs Python and OpenSSL, nothing else.

Usage: make.py DIRECTORY [bundles|images]. README.md says what is there then; without a second argument it is both.
"""
import os
import sys

import bundles
import images
from openssl import prepare_keys

MAKERS = {"bundles": bundles.make, "images": images.make}


def main(directory, *parts):
    prepare_keys("rsa4096", "rsa3072", "rsa2048")
    os.makedirs(directory, exist_ok=True)
    for part in parts or MAKERS:
        MAKERS[part](os.path.abspath(directory))


main(*sys.argv[1:])
