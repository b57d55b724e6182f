#!/usr/bin/env bash
# Prepares Azure for Countersign on AKS: a user-assigned identity that the provider's service account may use, its right
# to pull from the registry and to read certificates from the vault, and a signing certificate whose key cannot leave the
# vault. It looks before it creates, so it can be run again at any time; at its end it prints the helm command.
#
#   manifests/azure/setup.sh --resource-group GROUP --cluster AKS --registry ACR --vault VAULT [options]
#   manifests/azure/setup.sh … --dry-run            prints every az command, runs none
#   manifests/azure/setup.sh --print-policy         prints the certificate's policy (JSON), runs nothing
#
# What there must be already (each can be given by the variable in brackets too):
#   --resource-group NAME     group of the cluster and of the identity [GROUP_NAME]
#   --cluster NAME            AKS cluster [AKS_NAME]
#   --registry NAME           container registry, its name without .azurecr.io [ACR_NAME]
#   --vault NAME              key vault [AKV_NAME]; --create-vault makes it, with authorization by roles
#
# Names that have a default:
#   --subscription ID         [SUBSCRIPTION] default: the one az uses now
#   --location NAME           of what is created [LOCATION] default: the cluster's
#   --identity NAME           user-assigned identity [IDENTITY_NAME] default ratify-identity
#   --credential NAME         its federated credential [CREDENTIAL_NAME] default ratify-federated-credential
#   --namespace NAME          of the provider [RATIFY_NAMESPACE] default gatekeeper-system
#   --service-account NAME    of the provider [SERVICE_ACCOUNT] default ratify-admin
#   --registry-role ROLE      [REGISTRY_ROLE] default AcrPull; a registry with permissions by repository (ABAC) needs
#                             "Container Registry Repository Reader"
#   --vault-access HOW        roles, policy, or auto: as the vault is set up [VAULT_ACCESS] default auto
#   --vault-role ROLE         of the provider's identity [VAULT_ROLE] default "Key Vault Certificate User", which may read
#                             certificates, public keys and the secrets that hold the chains
#
# Signing:
#   --certificate NAME        [CERTIFICATE_NAME] default release; --no-certificate makes none
#   --subject NAME            [CERTIFICATE_SUBJECT] default CN=release,O=Example,ST=WA,C=US
#   --key-type KIND           RSA-2048, RSA-3072, RSA-4096, EC-P-256, EC-P-384 or EC-P-521 [KEY_TYPE] default RSA-2048
#   --content-type KIND       pem or pkcs12 [CONTENT_TYPE] default pem
#   --months NUMBER           the certificate's life [VALIDITY_MONTHS] default 12
#   --officer ID              object id of who creates certificates, or me [OFFICER_ID]: Key Vault Certificates Officer
#   --signer ID               object id of who signs images, or me [SIGNER_ID]: Key Vault Crypto User and Key Vault
#                             Certificate User
#   --principal-type TYPE     ServicePrincipal, User or Group: what those ids are [PRINCIPAL_TYPE] default ServicePrincipal
#   --scope REPOSITORY        registry scope of the trust policy [REGISTRY_SCOPE] default *
#   --wait SECONDS            how long a new role may take to count [ROLE_WAIT] default 300
#
# Needs az 2.50 or later, logged in (az login) with the right to create these things, and to assign roles. Exit status:
# 0 done, 1 failed, 2 wrong usage.
set -euo pipefail

usage() { sed -n '2,/^set -euo/s/^# \{0,1\}//p' "$0"; }
wrong() { echo "setup: $1; --help lists the options" >&2; exit 2; }
failed() { echo "setup: $1" >&2; exit 1; }
say() { echo "setup: $1" >&2; }

group=${GROUP_NAME:-} cluster=${AKS_NAME:-} registry=${ACR_NAME:-} vault=${AKV_NAME:-}
subscription=${SUBSCRIPTION:-} location=${LOCATION:-}
identity=${IDENTITY_NAME:-ratify-identity} credential=${CREDENTIAL_NAME:-ratify-federated-credential}
namespace=${RATIFY_NAMESPACE:-gatekeeper-system} account=${SERVICE_ACCOUNT:-ratify-admin}
registry_role=${REGISTRY_ROLE:-AcrPull} vault_access=${VAULT_ACCESS:-auto} vault_role=${VAULT_ROLE:-Key Vault Certificate User}
certificate=${CERTIFICATE_NAME:-release} subject=${CERTIFICATE_SUBJECT:-CN=release,O=Example,ST=WA,C=US}
key_type=${KEY_TYPE:-RSA-2048} content_type=${CONTENT_TYPE:-pem} months=${VALIDITY_MONTHS:-12}
officer=${OFFICER_ID:-} signer=${SIGNER_ID:-} principal_type=${PRINCIPAL_TYPE:-ServicePrincipal}
scope=${REGISTRY_SCOPE:-*} wait_seconds=${ROLE_WAIT:-300}
create_vault='' with_certificate=yes dry='' print_policy=''
audience=api://AzureADTokenExchange

while [ $# -gt 0 ]; do
    case "$1" in
        -h|--help) usage; exit 0 ;;
        --dry-run) dry=yes; shift; continue ;;
        --print-policy) print_policy=yes; shift; continue ;;
        --create-vault) create_vault=yes; shift; continue ;;
        --no-certificate) with_certificate=''; shift; continue ;;
        --*) ;;
        *) wrong "unknown argument $1" ;;
    esac
    { [ $# -ge 2 ] && [ -n "$2" ]; } || wrong "$1 is not an option, or needs a value"
    case "$1" in
        --resource-group) group=$2 ;;
        --cluster) cluster=$2 ;;
        --registry) registry=$2 ;;
        --vault) vault=$2 ;;
        --subscription) subscription=$2 ;;
        --location) location=$2 ;;
        --identity) identity=$2 ;;
        --credential) credential=$2 ;;
        --namespace) namespace=$2 ;;
        --service-account) account=$2 ;;
        --registry-role) registry_role=$2 ;;
        --vault-access) vault_access=$2 ;;
        --vault-role) vault_role=$2 ;;
        --certificate) certificate=$2 ;;
        --subject) subject=$2 ;;
        --key-type) key_type=$2 ;;
        --content-type) content_type=$2 ;;
        --months) months=$2 ;;
        --officer) officer=$2 ;;
        --signer) signer=$2 ;;
        --principal-type) principal_type=$2 ;;
        --scope) scope=$2 ;;
        --wait) wait_seconds=$2 ;;
        *) wrong "unknown option $1" ;;
    esac
    shift 2
done

case "$vault_access" in auto|roles|policy) ;; *) wrong "--vault-access is roles, policy or auto, not $vault_access" ;; esac
case "$principal_type" in
    ServicePrincipal|User|Group) ;;
    *) wrong "--principal-type is ServicePrincipal, User or Group, not $principal_type" ;;
esac
case "$key_type" in
    RSA-2048|RSA-3072|RSA-4096) key_properties="\"keySize\": ${key_type#RSA-},
    \"keyType\": \"RSA\"," ;;
    EC-P-256|EC-P-384|EC-P-521) key_properties="\"curve\": \"${key_type#EC-}\",
    \"keyType\": \"EC\"," ;;
    *) wrong "--key-type is RSA-2048, RSA-3072, RSA-4096, EC-P-256, EC-P-384 or EC-P-521, not $key_type" ;;
esac
case "$content_type" in
    pem) media_type=application/x-pem-file ;;
    pkcs12) media_type=application/x-pkcs12 ;;
    *) wrong "--content-type is pem or pkcs12, not $content_type" ;;
esac
[[ "$months" =~ ^[1-9][0-9]{0,2}$ ]] || wrong "--months is a number of months, not $months"
[[ "$wait_seconds" =~ ^[0-9]{1,4}$ ]] || wrong "--wait is a number of seconds, not $wait_seconds"
# These names go into JSON, queries and printed commands: nothing in them may end a quotation.
name='^[A-Za-z0-9][A-Za-z0-9._-]*$'
[[ "$namespace" =~ ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$ ]] || wrong "$namespace is not the name of a namespace"
[[ "$account" =~ ^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$ ]] || wrong "$account is not the name of a service account"
[[ "$subject" != *[\"\\\'\`\$]* && "$subject" == *=* ]] || wrong "--subject is a distinguished name without quotes, not $subject"
[[ "$scope" != *[\"\\\'\`\$,]* ]] || wrong "--scope is one repository, or * for all of them, not $scope"
for value in "$registry_role" "$vault_role"; do
    [[ "$value" =~ ^[A-Za-z0-9][A-Za-z0-9\ ._-]*$ ]] || wrong "$value is not the name of a role"
done
for value in "$officer" "$signer"; do
    [[ -z "$value" || "$value" == me || "$value" =~ ^[0-9A-Fa-f-]{36}$ ]] || wrong "$value is neither an object id nor me"
done

# Exportable keys could be copied: the vault would no longer be the only place that signs. The usages are those that the
# signature specification asks of a signing certificate. A key of its own for each version: a renewal is a new key.
policy() {
    cat <<JSON
{
  "issuerParameters": {
    "name": "Self"
  },
  "keyProperties": {
    "exportable": false,
    $key_properties
    "reuseKey": false
  },
  "lifetimeActions": [
    {
      "action": {"actionType": "EmailContacts"},
      "trigger": {"daysBeforeExpiry": 30}
    }
  ],
  "secretProperties": {
    "contentType": "$media_type"
  },
  "x509CertificateProperties": {
    "ekus": ["1.3.6.1.5.5.7.3.3"],
    "keyUsage": ["digitalSignature"],
    "subject": "$subject",
    "validityInMonths": $months
  }
}
JSON
}
if [ -n "$print_policy" ]; then policy; exit 0; fi

[ -n "$group" ] || wrong "--resource-group is missing"
[ -n "$cluster" ] || wrong "--cluster is missing"
[ -n "$registry" ] || wrong "--registry is missing"
[ -n "$vault" ] || wrong "--vault is missing"
[[ "$registry" != *.* ]] || wrong "--registry is the registry's name (${registry%%.*}), not its host"
for value in "$group" "$cluster" "$registry" "$vault" "$identity" "$credential" "$certificate"; do
    [[ "$value" =~ $name ]] || wrong "$value is not a name"
done

# az ---------------------------------------------------------------------------------------------------------------

shown() { # az command line, for copying into a shell
    local word line=az
    for word in "$@"; do
        case "$word" in
            *[!A-Za-z0-9_./:=@,+-]*|'') line="$line '$(printf %s "$word" | sed "s/'/'\\\\''/g")'" ;;
            *) line="$line $word" ;;
        esac
    done
    printf '%s\n' "$line"
}
in_subscription() { # the arguments, with the subscription
    if [ -n "$subscription" ]; then "$@" --subscription "$subscription"; else "$@"; fi
}
run_az() {
    if [ -n "$dry" ]; then shown "$@"; else az "$@"; fi
}
# Asks for one value; nothing when there is none. Any failure is one: a look that failed says nothing about what is there.
# In a dry run it prints the command aside and answers with a placeholder, or as if there were nothing.
ask() { # placeholder, arguments…
    local placeholder=$1 answer
    shift
    if [ -n "$dry" ]; then
        in_subscription shown "$@" --output tsv >&3
        printf '%s' "$placeholder"
        return
    fi
    answer=$(in_subscription az "$@" --output tsv) || failed "az $1 $2 $3 failed, see above; nothing else was changed"
    [ "$answer" = None ] || printf '%s' "$answer"
}
exec 3>&1
if [ -z "$dry" ]; then
    command -v az >/dev/null || failed "az is not installed: https://learn.microsoft.com/cli/azure/install-azure-cli"
    az account show --output none || failed "az is not logged in: az login"
fi

# What is there already ----------------------------------------------------------------------------------------------

cluster_id=$(ask '<cluster-id>' aks list --resource-group "$group" --query "[?name=='$cluster'].id | [0]")
[ -n "$cluster_id" ] || failed "there is no AKS cluster $cluster in the resource group $group"
registry_id=$(ask '<registry-id>' acr list --query "[?name=='$registry'].id | [0]")
[ -n "$registry_id" ] || failed "there is no container registry $registry in this subscription"
registry_host=$(ask "$registry.azurecr.io" acr show --name "$registry" --query loginServer)
vault_id=$(ask '<vault-id>' keyvault list --query "[?name=='$vault'].id | [0]")
[ -n "$vault_id" ] || [ -n "$create_vault" ] || failed "there is no key vault $vault in this subscription; --create-vault makes it"
[ -n "$location" ] || location=$(ask '<location>' aks show --resource-group "$group" --name "$cluster" --query location)
tenant=$(ask '<tenant-id>' account show --query tenantId)

# The cluster proves who its pods are --------------------------------------------------------------------------------

ready=$(ask '' aks show --resource-group "$group" --name "$cluster" \
    --query "oidcIssuerProfile.enabled && securityProfile.workloadIdentity.enabled")
if [ "$ready" = true ]; then
    say "cluster $cluster has its OIDC issuer and workload identity"
else
    say "cluster $cluster: turning on its OIDC issuer and workload identity (this takes minutes)"
    in_subscription run_az aks update --resource-group "$group" --name "$cluster" --enable-oidc-issuer \
        --enable-workload-identity --output none
fi
issuer=$(ask '<oidc-issuer>' aks show --resource-group "$group" --name "$cluster" --query oidcIssuerProfile.issuerUrl)
[ -n "$issuer" ] || failed "cluster $cluster does not name its OIDC issuer; run this again in a minute"

# The identity -------------------------------------------------------------------------------------------------------

existing=$(ask '' identity list --resource-group "$group" --query "[?name=='$identity'].id | [0]")
if [ -n "$existing" ]; then
    say "identity $identity is there"
else
    say "identity $identity: creating it"
    in_subscription run_az identity create --name "$identity" --resource-group "$group" --location "$location" --output none
fi
client=$(ask '<client-id>' identity show --name "$identity" --resource-group "$group" --query clientId)
principal=$(ask '<principal-id>' identity show --name "$identity" --resource-group "$group" --query principalId)
[ -n "$client" ] && [ -n "$principal" ] || failed "identity $identity has no client id yet; run this again in a minute"

service_subject="system:serviceaccount:$namespace:$account"
matching=$(ask '' identity federated-credential list --identity-name "$identity" --resource-group "$group" \
    --query "[?issuer=='$issuer' && subject=='$service_subject' && contains(audiences, '$audience')].name | [0]")
if [ -n "$matching" ]; then
    say "federated credential $matching is there for $service_subject"
else
    named=$(ask '' identity federated-credential list --identity-name "$identity" --resource-group "$group" \
        --query "[?name=='$credential'].name | [0]")
    verb=create
    [ -z "$named" ] || verb=update # the cluster was made anew, or the names changed
    say "federated credential $credential for $service_subject: ${verb%e}ing it"
    in_subscription run_az identity federated-credential "$verb" --name "$credential" --identity-name "$identity" \
        --resource-group "$group" --issuer "$issuer" --subject "$service_subject" --audiences "$audience" --output none
fi

# Rights ---------------------------------------------------------------------------------------------------------------

assigned='' # whether a role was assigned just now, which takes a while to count
assign() { # principal, its type, role, resource
    local existing
    existing=$(ask '' role assignment list --scope "$4" --role "$3" --include-inherited \
        --query "[?principalId=='$1'].id | [0]")
    if [ -n "$existing" ]; then
        say "$1 has the role $3"
        return
    fi
    say "$1 gets the role $3"
    # With the object id and its type az needs no look into the directory, where a new identity may not be yet.
    in_subscription run_az role assignment create --assignee-object-id "$1" --assignee-principal-type "$2" --role "$3" \
        --scope "$4" --output none
    assigned=yes
}
permissions() { # principal, kind: what an access policy of the vault allows it already
    ask '' keyvault show --name "$vault" --query "properties.accessPolicies[?objectId=='$1'].permissions.$2[]" | tr '\n\t' '  '
}
# set-policy takes the place of what a principal may do with a kind of object: what it may do already is said again.
permit() { # principal, certificate permissions, key permissions, secret permissions
    local principal=$1 kind wanted present word changed='' i=0
    local arguments=()
    shift
    for kind in certificates keys secrets; do
        wanted=$1
        shift
        [ -n "$wanted" ] || continue
        present=$(permissions "$principal" "$kind" | tr '[:upper:]' '[:lower:]')
        case " $present " in *" all "*) continue ;; esac
        for word in $wanted; do
            case " $present " in *" $word "*) ;; *) present="$present $word"; changed=yes ;; esac
        done
        arguments[i]="--${kind%s}-permissions"
        i=$((i + 1))
        for word in $present; do arguments[i]=$word; i=$((i + 1)); done
    done
    if [ -z "$changed" ]; then
        say "the vault's access policy for $principal is there"
        return
    fi
    say "the vault's access policy lets $principal do what it needs"
    in_subscription run_az keyvault set-policy --name "$vault" --object-id "$principal" "${arguments[@]}" --output none
}
person() { # me or an object id → the object id
    if [ "$1" != me ]; then
        printf '%s' "$1"
    elif [ -n "$dry" ]; then
        shown ad signed-in-user show --query id --output tsv >&3
        printf '<your-object-id>'
    else
        az ad signed-in-user show --query id --output tsv || failed "az cannot tell who is logged in: give the object id"
    fi
}
type_of() { if [ "$1" = me ]; then echo User; else echo "$principal_type"; fi; }

assign "$principal" ServicePrincipal "$registry_role" "$registry_id"

if [ -z "$vault_id" ] || { [ -n "$dry" ] && [ -n "$create_vault" ]; }; then
    say "key vault $vault: creating it"
    by_roles=true
    [ "$vault_access" != policy ] || by_roles=false
    in_subscription run_az keyvault create --name "$vault" --resource-group "$group" --location "$location" \
        --enable-rbac-authorization "$by_roles" --output none
    vault_id=$(ask '<vault-id>' keyvault show --name "$vault" --query id)
fi
assumed=true
[ "$vault_access" != policy ] || assumed=false
by_roles=$(ask "$assumed" keyvault show --name "$vault" --query properties.enableRbacAuthorization)
vault_uri=$(ask "https://$vault.vault.azure.net/" keyvault show --name "$vault" --query properties.vaultUri)
if [ "$by_roles" = true ]; then
    [ "$vault_access" != policy ] || failed "key vault $vault goes by roles, access policies count for nothing there: leave --vault-access policy out"
    assign "$principal" ServicePrincipal "$vault_role" "$vault_id"
    if [ -n "$officer" ]; then
        id=$(person "$officer")
        assign "$id" "$(type_of "$officer")" "Key Vault Certificates Officer" "$vault_id"
    fi
    if [ -n "$signer" ]; then
        id=$(person "$signer")
        assign "$id" "$(type_of "$signer")" "Key Vault Crypto User" "$vault_id"
        assign "$id" "$(type_of "$signer")" "Key Vault Certificate User" "$vault_id"
    fi
else
    [ "$vault_access" != roles ] || failed "key vault $vault goes by access policies: leave --vault-access roles out, or change the vault"
    permit "$principal" "get list" "get list" "get list"
    if [ -n "$officer" ]; then
        id=$(person "$officer")
        permit "$id" "get list create update" "" ""
    fi
    if [ -n "$signer" ]; then
        id=$(person "$signer")
        permit "$id" "get list" "get sign" "get"
    fi
fi

# The certificate ------------------------------------------------------------------------------------------------------

if [ -n "$with_certificate" ]; then
    existing=$(ask '' keyvault certificate list --vault-name "$vault" --query "[?name=='$certificate'].id | [0]")
    if [ -n "$existing" ]; then
        say "certificate $certificate is there"
        exportable=$(ask false keyvault certificate show --vault-name "$vault" --name "$certificate" \
            --query policy.keyProperties.exportable)
        [ "$exportable" != true ] || say "WARNING: the key of $certificate is exportable: whoever may read the vault's secrets has it. Make another certificate with another name"
        subject=$(ask "$subject" keyvault certificate show --vault-name "$vault" --name "$certificate" \
            --query policy.x509CertificateProperties.subject)
    elif [ -n "$dry" ]; then
        echo "# POLICY.json is what --print-policy prints"
        in_subscription run_az keyvault certificate create --vault-name "$vault" --name "$certificate" \
            --policy @POLICY.json --output none
    else
        say "certificate $certificate: creating it, its key cannot be exported"
        work=$(mktemp -d)
        trap 'rm -rf "$work"' EXIT
        policy >"$work/policy.json"
        waited=0
        until in_subscription az keyvault certificate create --vault-name "$vault" --name "$certificate" \
            --policy "@$work/policy.json" --output none 2>"$work/error"; do
            if [ -n "$assigned" ] && grep -qi forbidden "$work/error" && [ "$waited" -lt "$wait_seconds" ]; then
                say "not allowed yet: a new role takes a while to count ($waited of $wait_seconds s)"
                sleep 10
                waited=$((waited + 10))
                continue
            fi
            cat "$work/error" >&2
            failed "certificate $certificate was not created; if this is forbidden, --officer me gives you the right. Run this again, the rest stays as it is"
        done
    fi
fi

# What comes next ------------------------------------------------------------------------------------------------------

escaped=$(printf %s "$subject" | sed 's/,/\\,/g')
say "done; install the provider with:"
cat <<HELM
helm upgrade --install ratify manifests/charts/countersign --namespace $namespace --create-namespace \\
    --set featureFlags.RATIFY_CERT_ROTATION=true \\
    --set serviceAccount.name=$account \\
    --set azureWorkloadIdentity.clientId=$client \\
    --set oras.authProviders.azureWorkloadIdentityEnabled=true \\
    --set 'oras.authProviders.azureContainerRegistryEndpoints[0]=$registry_host' \\
    --set azurekeyvault.enabled=true \\
    --set azurekeyvault.vaultURI=${vault_uri%/} \\
    --set azurekeyvault.tenantId=$tenant \\
    --set azurekeyvault.refreshInterval=10m \\
    --set 'azurekeyvault.certificates[0].name=$certificate' \\
    --set 'notation.trustPolicies[0].name=release' \\
    --set-string 'notation.trustPolicies[0].registryScopes[0]=$scope' \\
    --set 'notation.trustPolicies[0].trustStores[0]=ca:azurekeyvault' \\
    --set-string 'notation.trustPolicies[0].trustedIdentities[0]=x509.subject: $escaped'
HELM
