# A machine that boots systemd and lets `admin` in by key, as a cloud image does.
export DEBIAN_FRONTEND=noninteractive
# These machines live for minutes: packages need not survive a power cut.
echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/unsafe-io
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get -q update
apt-get -q -y --no-install-recommends install systemd systemd-sysv dbus openssh-server sudo iproute2 iptables \
    ca-certificates procps kmod
rm -f /usr/sbin/policy-rc.d
apt-get clean
rm -rf /var/lib/apt/lists/*

useradd --create-home --shell /bin/bash admin
usermod --password '*' admin
printf 'admin ALL=(ALL) NOPASSWD:ALL\n' > /etc/sudoers.d/90-admin
chmod 440 /etc/sudoers.d/90-admin
install -d -m 700 -o admin -g admin /home/admin/.ssh

# Keys and identity are each machine's own, made when it first boots.
rm -f /etc/ssh/ssh_host_*
: > /etc/machine-id
mkdir -p /etc/systemd/system/ssh.service.d
cat > /etc/systemd/system/ssh.service.d/own-keys.conf <<'UNIT'
[Service]
ExecStartPre=
ExecStartPre=/usr/bin/ssh-keygen -A
ExecStartPre=/usr/sbin/sshd -t
UNIT

# What belongs to hardware, or to the machine that the lab runs on.
systemctl mask systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket systemd-udev-trigger.service \
    getty.target console-getty.service systemd-logind.service sys-kernel-debug.mount sys-kernel-tracing.mount \
    sys-fs-fuse-connections.mount dev-hugepages.mount dev-mqueue.mount systemd-modules-load.service systemd-sysctl.service \
    systemd-timesyncd.service apt-daily.timer apt-daily-upgrade.timer
systemctl enable ssh.service
