#!/usr/bin/env bash
# Runs the tests of a package on an emulated Intel Sapphire Rapids, which has AVX-512
# and AMX, and prints what they say. README.md says what it needs and how long it takes.
#
#	BOCHS=… KERNEL=… BIOS=… run.sh [-p FOLDER] [-m CPU] [-w] [-- TEST FLAG…]
#
# -p is the folder of the package, internal/kernel by default; -m a CPU model of Bochs;
# -w keeps the folder with the machine's files and says where it is.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

package=$here/.. model=sapphire_rapids keep=
while getopts p:m:w flag; do
	case $flag in
	p) package=$OPTARG ;;
	m) model=$OPTARG ;;
	w) keep=1 ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
for name in BOCHS KERNEL BIOS; do
	if [ ! -e "${!name:-}" ]; then
		echo "$name must name what README.md says" >&2
		exit 2
	fi
done
isolinux=${ISOLINUX:-/usr/lib/ISOLINUX/isolinux.bin}
ldlinux=${LDLINUX:-/usr/lib/syslinux/modules/bios/ldlinux.c32}

work=$(mktemp -d)
if [ -n "$keep" ]; then echo "$work"; else trap 'rm -rf "$work"' EXIT; fi

# The memory disk: process 1, the test and what it reads.
mkdir -p "$work/disk" "$work/cd"
export CGO_ENABLED=0 GOOS=linux GOARCH=amd64
(cd "$here/init" && go build -o "$work/disk/init" .)
(cd "$package" && go test -c -o "$work/disk/test" .)
if [ -d "$package/testdata" ]; then cp -r "$package/testdata" "$work/disk"; fi
if [ $# = 0 ]; then set -- -test.short -test.skip 'Generated|LowLevel'; fi
printf '%s\n' "$@" >"$work/disk/arguments"
(cd "$work/disk" && find . | cpio -o -H newc --quiet | gzip -1 >"$work/cd/disk.gz")

# The CD that the machine starts from.
cp "$KERNEL" "$work/cd/linux"
cp "$isolinux" "$ldlinux" "$work/cd"
cat >"$work/cd/isolinux.cfg" <<-end
	default test
	prompt 0
	label test
	kernel linux
	append initrd=disk.gz console=ttyS0,115200n8 quiet loglevel=3 panic=-1 mitigations=off nokaslr no_timer_check random.trust_cpu=1
end
genisoimage -quiet -o "$work/cd.iso" -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table "$work/cd"

cat >"$work/bochsrc" <<-end
	cpu: model=$model, count=1, ips=50000000, exclude_features="la57", reset_on_triple_fault=0
	megs: 1024
	romimage: file=$BIOS/BIOS-bochs-latest
	vgaromimage: file=$BIOS/VGABIOS-lgpl-latest
	ata0-master: type=cdrom, path=$work/cd.iso, status=inserted
	boot: cdrom
	display_library: nogui
	com1: enabled=1, mode=file, dev=$work/serial
	log: $work/log
	panic: action=fatal
	error: action=report
	info: action=ignore
	debug: action=ignore
end
: >"$work/serial"
"$BOCHS" -q -f "$work/bochsrc" >"$work/out" 2>&1 </dev/null &
machine=$!
tail -f -n +1 --pid=$machine "$work/serial" | sed -u 's|\r||g' &
wait $machine || true
wait
tr -d '\r' <"$work/serial" | grep -q '^result: ok'
