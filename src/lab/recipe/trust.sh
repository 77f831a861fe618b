# The authorities were put into /usr/local/share/ca-certificates before this runs.
export DEBIAN_FRONTEND=noninteractive
if ! command -v update-ca-certificates > /dev/null; then
    apt-get -q update
    apt-get -q -y --no-install-recommends install ca-certificates
    apt-get clean
    rm -rf /var/lib/apt/lists/*
fi
update-ca-certificates
