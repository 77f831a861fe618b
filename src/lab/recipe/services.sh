# Redis and PostgreSQL; each machine starts the one it is for.
export DEBIAN_FRONTEND=noninteractive
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get -q update
apt-get -q -y --no-install-recommends install redis-server postgresql
rm -f /usr/sbin/policy-rc.d
apt-get clean
rm -rf /var/lib/apt/lists/*
systemctl disable redis-server.service postgresql.service

cd /etc/postgresql/*/main
printf "listen_addresses = '*'\n" > conf.d/lab.conf
printf 'host all all all scram-sha-256\n' >> pg_hba.conf
