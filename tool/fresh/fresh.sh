#!/bin/sh
# What a newcomer meets: a Debian 12 with nothing but git, an empty clone of this
# repository's last commit, and the README's commands. Needs root and debootstrap;
# whatever happens, the system is gone afterwards.
#   tool/fresh/fresh.sh [COMMAND…]   instead of the README's commands: COMMAND in the clone
# shellcheck disable=SC2016,SC2317 # $(SITE) is apt's own; clean_up is called by a trap
set -eu

say() { printf 'fresh: %s\n' "$*" >&2; }
here=$(cd "$(dirname "$0")/../.." && pwd)
[ "$(id -u)" = 0 ] || { say "it makes a system of its own, which takes root: sudo bin/grove test --fresh"; exit 2; }
for program in debootstrap git chroot mount; do
  command -v "$program" >/dev/null || { say "$program is missing: apt-get install debootstrap git"; exit 2; }
done

# From where this machine gets its own packages.
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Codename: bookworm' | head -n 1)
[ -n "$mirror" ] || { say "apt on this machine knows no mirror of Debian 12 (bookworm)"; exit 2; }

root=$(mktemp -d "${TMPDIR:-/var/tmp}/grove-fresh-XXXXXX")
clean_up() {
  # Whatever still runs inside holds the mounts.
  for process in /proc/[0-9]*; do
    if [ "$(readlink "$process/root" 2>/dev/null)" = "$root" ]; then kill -s KILL "${process#/proc/}" 2>/dev/null || true; fi
  done
  for folder in dev/shm dev/pts dev proc; do
    if mountpoint -q "$root/$folder"; then umount "$root/$folder" || umount --lazy "$root/$folder"; fi
  done
  # A mount that stayed would lose its files with the folder.
  if grep -q " $root/" /proc/mounts; then
    say "something below $root is still mounted; it stays"
  else
    rm -rf --one-file-system -- "$root"
  fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say "making a Debian 12 in $root"
debootstrap --variant=minbase --include=git,ca-certificates bookworm "$root" "$mirror" >"$root.log" 2>&1 || {
  tail -n 5 "$root.log" >&2
  say "debootstrap failed; $root.log has it all"
  exit 2
}
rm -f "$root.log"
# Packages come from where this machine gets them, updates and keys of its own included.
cp -a /etc/apt/. "$root/etc/apt/"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
cp -a /etc/ssl/certs/. "$root/etc/ssl/certs/"
[ ! -d /usr/local/share/ca-certificates ] || cp -a /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount -t devpts devpts "$root/dev/pts" 2>/dev/null || true
mount -t tmpfs tmpfs "$root/dev/shm" 2>/dev/null || true

git clone --quiet --no-hardlinks --depth 1 "file://$here" "$root/root/grove"
if [ $# = 0 ]; then
  # What the README says before its first section, the clone itself left out.
  sed '/^## /q' "$here/README.md" | grep '^bin/grove ' >"$root/root/commands" || true
else
  printf '%s\n' "$*" >"$root/root/commands"
fi
[ -s "$root/root/commands" ] || { say "the README names no bin/grove command before its first section"; exit 2; }
say "running in the clone:"
sed 's/^/  /' "$root/root/commands" >&2
status=0
start=$(date +%s)
env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root CI=true LANG=C.UTF-8 TERM=dumb \
  ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
  chroot "$root" sh -ec 'cd /root/grove && . /root/commands' || status=$?
say "done in $(($(date +%s) - start)) s with exit status $status"
exit "$status"
