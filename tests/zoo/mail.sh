# Makes of the files of two mailers' packages in $1 what their installation would have made, in the root of the test; nothing is delivered.
set -e
user() { # NAME NUMBER
  grep -q "^$1:" /etc/group || echo "$1:x:$2:" >> /etc/group
  grep -q "^$1:" /etc/passwd || echo "$1:x:$2:$2::/nonexistent:/usr/sbin/nologin" >> /etc/passwd
}
user Debian-exim 790
user postfix 791
user postdrop 792
mkdir -p /etc/exim4 /var/spool/exim4 /var/log/exim4 /etc/postfix /var/spool/postfix/maildrop /var/spool/postfix/public
chown Debian-exim:Debian-exim /var/spool/exim4 /var/log/exim4
cat > /etc/exim4/exim4.conf <<'CONF'
primary_hostname = zoo.example
keep_environment =
begin routers
all:
  driver = redirect
  data = :blackhole:
CONF
cat > /etc/postfix/main.cf <<'CONF'
compatibility_level = 3.6
myhostname = zoo.example
mail_owner = postfix
setgid_group = postdrop
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
CONF
rm -f /usr/sbin/exim4 /usr/sbin/postdrop
cp -a "$1/exim/usr/sbin/exim4" /usr/sbin/
cp -a "$1/postfix/usr/sbin/postdrop" /usr/sbin/
mkdir -p /usr/lib/postfix
cp -a "$1/postfix/usr/lib/postfix/." /usr/lib/postfix/
mkdir -p "$2/postfix"
cp "$1/postfix/usr/sbin/sendmail" "$2/postfix/"
chown postfix:postdrop /var/spool/postfix/maildrop /var/spool/postfix/public
chmod 1730 /var/spool/postfix/maildrop
chgrp postdrop /usr/sbin/postdrop
chmod 2555 /usr/sbin/postdrop
