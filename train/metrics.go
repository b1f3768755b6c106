package train

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// metrics is metrics.jsonl: every step and evaluation as a line. It is open from
// the start, so that a step makes no file.
type metrics struct {
	f      *os.File
	buffer bytes.Buffer
	enc    *json.Encoder
}

func openMetrics(path string) (*metrics, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	m := &metrics{f: f}
	m.enc = json.NewEncoder(&m.buffer)
	m.enc.SetEscapeHTML(false)
	return m, nil
}

func (m *metrics) step(e StepEvent) error {
	m.buffer.Reset()
	if err := m.enc.Encode(e); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return m.flush()
}

func (m *metrics) evaluated(e EvalEvent) error {
	m.buffer.Reset()
	e.Answers = nil // they are in before.json and the output
	if err := m.enc.Encode(e); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return m.flush()
}

func (m *metrics) flush() error {
	if _, err := m.f.Write(m.buffer.Bytes()); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// sync brings all lines to the disk and returns their length in bytes.
func (m *metrics) sync() (int64, error) {
	if err := m.f.Sync(); err != nil {
		return 0, fmt.Errorf("metrics: %w", err)
	}
	info, err := m.f.Stat()
	if err != nil {
		return 0, fmt.Errorf("metrics: %w", err)
	}
	return info.Size(), nil
}

// cut drops the lines after a checkpoint.
func (m *metrics) cut(size int64) error {
	if err := m.f.Truncate(size); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

func (m *metrics) close() error { return m.f.Close() }
