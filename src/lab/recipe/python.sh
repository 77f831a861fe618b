# What Dockerfiles expect of the usual Python image: `python` and `pip` that install for the whole image.
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -y --no-install-recommends install ca-certificates python3 python3-pip python3-venv
apt-get clean
rm -rf /var/lib/apt/lists/*
rm -f /usr/lib/python3*/EXTERNALLY-MANAGED
ln -sf /usr/bin/python3 /usr/local/bin/python
ln -sf /usr/bin/python3 /usr/local/bin/python3
ln -sf /usr/bin/pip3 /usr/local/bin/pip
ln -sf /usr/bin/pip3 /usr/local/bin/pip3
