package study

import (
	"encoding/json"
	"fmt"
	"gotune/internal/disk"
	"os"
	"path/filepath"
)

// ReadResult reads the result of a study in a laboratory. Where there is none the error
// is fs.ErrNotExist.
func ReadResult(lab, id string) (Result, error) {
	var r Result
	path := filepath.Join(lab, studiesName, id, resultName)
	raw, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Write writes a result into its folder of a laboratory.
func (r Result) Write(lab string) error {
	return disk.WriteJSON(filepath.Join(lab, studiesName, r.ID, resultName), r)
}

// ReadFile reads the file of a study that was run in a laboratory, as it was then.
func ReadFile(lab, id string) ([]byte, error) {
	return os.ReadFile(filepath.Join(lab, studiesName, id, "study.yaml"))
}

const resultName = "result.json"
