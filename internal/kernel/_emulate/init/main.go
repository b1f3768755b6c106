// Command init is the only program of the machine that run.sh starts: process 1.
// It runs /test with the arguments in /arguments, one a line, says how it ended and
// switches the machine off.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

func main() {
	fmt.Println("result:", run())
	drain()
	if err := syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Println(err)
	}
	select {}
}

// drain waits until all of the output has gone over the serial line (tcdrain).
func drain() {
	const tcsbrk = 0x5409
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, os.Stdout.Fd(), tcsbrk, 1); errno != 0 {
		fmt.Println(errno)
	}
}

// run returns "ok" or how the test failed.
func run() string {
	for _, m := range []struct{ kind, at string }{{"proc", "/proc"}, {"devtmpfs", "/dev"}, {"sysfs", "/sys"}, {"tmpfs", "/tmp"}} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err.Error()
		}
		if err := syscall.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return fmt.Sprintf("mounting %s: %v", m.at, err)
		}
	}
	arguments, err := os.ReadFile("/arguments")
	if err != nil {
		return err.Error()
	}
	cmd := exec.Command("/test", strings.Fields(string(arguments))...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	cmd.Env = []string{"HOME=/tmp", "TMPDIR=/tmp"}
	if err := cmd.Run(); err != nil {
		return err.Error()
	}
	return "ok"
}
