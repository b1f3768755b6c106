package train

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"gotune/model"
)

// autoCheckpointing leaves the policy to what fits.
const autoCheckpointing = "auto"

// parseCheckpointing reads a policy of gradient checkpointing: how many blocks of
// the model, from the first, are computed twice.
func parseCheckpointing(policy string) (blocks int, err error) {
	switch policy {
	case "none", autoCheckpointing: // before it was chosen
		return 0, nil
	case "blocks":
		return model.AllBlocks, nil
	}
	if text, ok := strings.CutPrefix(policy, "blocks:"); ok {
		if n, err := strconv.Atoi(text); err == nil && n > 0 {
			return n, nil
		}
	}
	return 0, fmt.Errorf("gradient_checkpointing is %q; it must be auto, none, blocks, or blocks:N for the first N blocks", policy)
}

// checkpointing names the policy of so many blocks of a model.
func checkpointing(blocks, layers int) string {
	switch {
	case blocks == 0:
		return "none"
	case blocks >= layers:
		return "blocks"
	}
	return "blocks:" + strconv.Itoa(blocks)
}

// ParseCheckpointing is parseCheckpointing for commands that have no recipe.
func ParseCheckpointing(policy string) (blocks int, err error) { return parseCheckpointing(policy) }

// ParseSize reads a size such as 4GiB, 800MB or a number of bytes; "" is 0.
func ParseSize(text string) (int64, error) {
	number, unit := text, int64(1)
	for _, u := range []struct {
		name string
		size int64
	}{
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
		{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
	} {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			number, unit = strings.TrimSpace(rest), u.size
			break
		}
	}
	if text == "" {
		return 0, nil
	}
	x, err := strconv.ParseFloat(number, 64)
	if err != nil || !(x > 0) || x*float64(unit) > math.MaxInt64/2 {
		return 0, fmt.Errorf("max_memory is %q; it must be a size such as 4GiB or 800MiB", text)
	}
	return int64(x * float64(unit)), nil
}

// formatSize writes a size in MiB or GiB.
func formatSize(n int64) string {
	if n >= 1<<30 {
		return strconv.FormatFloat(float64(n)/(1<<30), 'f', 2, 64) + " GiB"
	}
	return strconv.FormatFloat(math.Ceil(float64(n)/(1<<20)), 'f', 0, 64) + " MiB"
}
