//go:build !linux

package pages

func advise(at, size uintptr) {}
