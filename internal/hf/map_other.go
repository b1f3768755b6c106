//go:build !linux && !darwin

package hf

import "os"

func mapFile(*os.File, int64) ([]byte, error) { return nil, errNoMap }

func unmap([]byte) error { return nil }
