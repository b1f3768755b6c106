package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"gotune/internal/kernel"
	"gotune/model"
	"gotune/tokenizer"
	"gotune/train"
)

// templateName is the file that transformers keeps a chat template in.
const templateName = "chat_template.jinja"

// source is a model with its tokenizer and perhaps an adapter, as the commands
// that use a model take it: --model and --adapter, or a run folder.
type source struct {
	modelName       string
	adapters        []string // DIR or DIR=WEIGHT
	combination     string   // of several; see lora.Combine
	templateName    string   // of chats; see data.OpenTemplate
	threads         int
	base, precision string // of the weights, and of the products

	set func(flag string) bool // reports whether a flag was given

	model     *model.Model
	tokenizer *tokenizer.Tokenizer
	adapter   train.Adapter
	// adapterTemplate is the chat template that the adapter was tuned with, where it
	// is another than the model's own.
	adapterTemplate []byte
	project         model.ProjectFunc // of the adapter, or nil
}

func (s *source) flags(c *cobra.Command) {
	s.set = c.Flags().Changed
	c.Flags().StringVar(&s.modelName, "model", train.BaseName, "folder of the model; base and base-b are embedded")
	c.Flags().StringArrayVar(&s.adapters, "adapter", nil, "folder of a PEFT adapter; given several times, or as DIR=WEIGHT, adapters are put together")
	c.Flags().StringVar(&s.combination, "combination", "cat", "how several adapters are put together: cat or svd sum their updates, linear their matrices")
	c.Flags().StringVar(&s.base, "base-precision", "auto", "how weights are stored: auto as in the file, fp32, bf16, int8 or nf4; of a run, as it did")
	c.Flags().StringVar(&s.precision, "precision", "fp32", "arithmetic of the products: fp32 or bf16; of a run, that of the run")
	c.Flags().IntVar(&s.threads, "threads", 0, "threads; 0 uses all cores")
}

// loadRun is load of the run that the first argument names, if there is one. A run
// has its own model and adapter.
func (s *source) loadRun(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		for _, name := range []string{"model", "adapter"} {
			if c.Flags().Changed(name) {
				return usagef("--%s cannot be given with the run %s, which has its own", name, args[0])
			}
		}
		r, err := train.ReadRun(args[0])
		for _, other := range []struct{ flag, file string }{{"model", "config.json"}, {"adapter", "adapter_config.json"}} {
			if _, is := os.Stat(filepath.Join(args[0], other.file)); err != nil && is == nil {
				return usagef("%s is no run folder but holds %s: give it by --%s", args[0], other.file, other.flag)
			}
		}
		if err != nil {
			return err
		}
		s.modelName, s.adapters = r.Model, nil
		if r.Adapter != "" {
			s.adapters = []string{r.Adapter}
		}
		if !s.set("base-precision") {
			s.base = r.BasePrecision
		}
		if !s.set("precision") {
			s.precision = r.Precision
		}
		if s.templateName == "" {
			s.templateName = r.Template
		}
	}
	return s.load(c.Context())
}

func (s *source) load(ctx context.Context) error {
	var err error
	if s.model, err = s.loadModel(ctx); err != nil {
		return err
	}
	src, err := train.OpenModel(s.modelName)
	if err != nil {
		return err
	}
	if s.tokenizer, err = tokenizer.Load(src, s.modelName); err != nil {
		return err
	}
	return s.loadAdapters()
}

// loadModel reads the model alone, as its files have it.
func (s *source) loadModel(ctx context.Context) (*model.Model, error) {
	base, err := model.ParseBase(s.base)
	if err != nil {
		return nil, usagef("--%w", err)
	}
	arithmetic, err := kernel.ParseArithmetic(s.precision)
	if err != nil {
		return nil, usagef("--%w", err)
	}
	src, err := train.OpenModel(s.modelName)
	if err != nil {
		return nil, err
	}
	m, err := model.LoadFrozen(ctx, src, s.modelName, base)
	if err != nil {
		return nil, err
	}
	m.Arithmetic = arithmetic
	return m, nil
}

// generator returns a generator of the model with its adapter.
func (s *source) generator(team *kernel.Team) *model.Generator {
	g := model.NewGenerator(s.model, team, s.project)
	g.Virtual = s.virtual()
	return g
}

// virtual is the number of virtual tokens that the adapter has before each text.
func (s *source) virtual() int {
	if s.adapter == nil {
		return 0
	}
	return s.adapter.Virtual()
}

func (s *source) team() *kernel.Team {
	n := s.threads
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	return kernel.NewTeam(n)
}
