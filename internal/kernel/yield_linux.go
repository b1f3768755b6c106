package kernel

import "syscall"

// yield lets another thread of the machine run, if one waits: perhaps the one
// whose part of the work is waited for.
func yield() { syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) }
