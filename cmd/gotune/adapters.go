package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gotune/lora"
	"gotune/train"
)

// loadAdapters loads the adapters of --adapter and puts several, or one with a weight, together.
func (s *source) loadAdapters() error {
	if !slices.Contains(lora.Combinations, s.combination) {
		return usagef("--combination is %q; it must be one of %s", s.combination, strings.Join(lora.Combinations, ", "))
	}
	if len(s.adapters) == 0 {
		return nil
	}
	var ads []*lora.Adapter // of several, or with a weight
	var weights []float64
	for _, text := range s.adapters {
		dir, weight, given, err := splitWeight(text)
		if err != nil {
			return err
		}
		if s.adapter, err = train.LoadAdapter(os.DirFS(dir), dir, s.model); err != nil {
			return err
		}
		if err := s.takeTemplate(dir); err != nil {
			return err
		}
		if !given && len(s.adapters) == 1 {
			break
		}
		ad, err := s.updates("adapters can be put together, or have a weight,")
		if err != nil {
			return err
		}
		ads, weights = append(ads, ad.Plain()), append(weights, weight)
	}
	if ads != nil {
		combined, err := lora.Combine(ads, weights, s.combination, 0)
		if err != nil {
			return fmt.Errorf("adapters %s: %w", strings.Join(s.adapters, ", "), err)
		}
		s.adapter = combined
	}
	s.project = s.adapter.Project
	return nil
}

// updates returns the adapter where it updates weights, which is when something can be done
// with it that virtual tokens do not allow.
func (s *source) updates(what string) (*lora.Adapter, error) {
	ad, is := s.adapter.(*lora.Adapter)
	if !is {
		return nil, fmt.Errorf("adapter %s: %s only where they update weights, as LoRA does: this one puts %d virtual tokens before each text and leaves the weights as they are", strings.Join(s.adapters, ", "), what, s.adapter.Virtual())
	}
	return ad, nil
}

// splitWeight takes DIR or DIR=WEIGHT apart. A folder whose name looks like the second is
// the folder.
func splitWeight(text string) (dir string, weight float64, given bool, err error) {
	at := strings.LastIndexByte(text, '=')
	if _, missing := os.Stat(text); at < 0 || missing == nil {
		return text, 1, false, nil
	}
	weight, err = strconv.ParseFloat(text[at+1:], 64)
	if err != nil {
		return "", 0, false, usagef("--adapter is %q: what follows = is the weight of the adapter, a number", text)
	}
	return text[:at], weight, true, nil
}

// takeTemplate finds the chat template that an adapter was tuned with; of several the first
// one's counts.
func (s *source) takeTemplate(dir string) error {
	template := filepath.Join(dir, templateName)
	text, err := os.ReadFile(template)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("adapter: %w", err)
	}
	if s.adapterTemplate == nil {
		s.adapterTemplate = text
	}
	if s.templateName == "" && text != nil {
		s.templateName = template
	}
	return nil
}
