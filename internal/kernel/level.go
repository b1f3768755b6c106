package kernel

import (
	"fmt"
	"os"
	"strings"
)

// A Level is a set of instructions that the loops are written for.
type Level int

// The levels, from the one that every machine has upwards.
const (
	Generic Level = iota // plain Go
	AVX2                 // AVX2 and FMA, 8 lanes
	AVX512               // AVX-512 with F, BW, DQ and VL, 16 lanes
	AMX                  // AVX512 with tiles for bf16 products
	NEON                 // NEON of 64-bit ARM, 4 lanes
)

func (l Level) String() string {
	switch l {
	case Generic:
		return "generic"
	case AVX2:
		return "avx2"
	case AVX512:
		return "avx512"
	case AMX:
		return "amx"
	case NEON:
		return "neon"
	}
	return fmt.Sprintf("level %d", int(l))
}

// Variable is the environment variable that selects a lower level than the best.
const Variable = "GOTUNE_CPU"

var (
	level    Level
	code     *table // the loops of the active level
	probeErr error
)

func init() {
	level, probeErr = choose(os.Getenv(Variable), Levels())
	code = tables[level]
}

// Active returns the level in use: the best one of this machine, or the one that
// the environment variable GOTUNE_CPU names.
func Active() Level { return level }

// Pairs names the instructions that multiply bf16 numbers at the active level, or is
// "" where bf16 products are float32 products of rounded numbers.
func Pairs() string {
	if code.pairs == nil {
		return ""
	}
	return code.pairs.name
}

// Probe returns an error if GOTUNE_CPU names a level that does not exist or that
// this machine lacks. The best level is in use then.
func Probe() error { return probeErr }

// Levels returns the levels that this machine can run, the lowest first.
func Levels() []Level {
	all := []Level{Generic}
	for l := Generic + 1; int(l) < len(tables); l++ {
		if tables[l] != nil && supported(l) {
			all = append(all, l)
		}
	}
	return all
}

func choose(name string, have []Level) (Level, error) {
	best := have[len(have)-1]
	if name == "" {
		return best, nil
	}
	names := make([]string, len(have))
	for i, l := range have {
		if names[i] = l.String(); names[i] == name {
			return l, nil
		}
	}
	return best, fmt.Errorf("%s=%s: this machine and build have %s", Variable, name, strings.Join(names, ", "))
}

// SetLevel makes l the active level and returns a function that undoes it. It is
// for tests and for measuring, and must not be called while a kernel runs. It
// panics if this machine lacks the level.
func SetLevel(l Level) (restore func()) {
	if int(l) >= len(tables) || tables[l] == nil || !supported(l) {
		panic(fmt.Sprintf("kernel: this machine has no level %v", l))
	}
	old := level
	level, code = l, tables[l]
	return func() { level, code = old, tables[old] }
}
