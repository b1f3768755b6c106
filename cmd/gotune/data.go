package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"gotune/data"
	"gotune/data/inspect"
	"gotune/internal/disk"
	"gotune/model"
	"gotune/tokenizer"
	"gotune/train"
)

// dataFlags says what gotune data shows and how.
type dataFlags struct {
	model, tokenizer, template        string
	columns, format, objective        string
	maxLength                         int
	packing, lastTurn                 bool
	evalData, allow                   []string
	rows, from                        int
	ids, asJSON                       bool
	color, html                       string
	rowsGiven, fromGiven, modelsGiven bool
}

func newData() *cobra.Command {
	f := &dataFlags{}
	c := &cobra.Command{
		Use:   "data FILE…",
		Short: "Show what training will see of data",
		Long: `data reads files, folders or corpora of the toy world as training does and shows
the chat template, the first rows token by token (targets, prompt and padding apart),
what became of all rows, and what is wrong with them. Status 1 says that training
would stop.

With --json there is a line for every row before packing instead, {"row":0,
"ids":[…],"targets":[0,1,…]} or {"row":9,"error":"…"}; status 1 says that a row has
an error.`,
		Example: `  gotune data rows.jsonl --model DIR
  gotune data chat.jsonl --chat-template chatml --packing --ids
  gotune data rows.jsonl --eval-data heldout.jsonl --html page.html
  gotune data rows.jsonl --tokenizer DIR --json > tokens.jsonl`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("%s takes at least one file, folder or corpus such as world:chat", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			f.rowsGiven, f.fromGiven = c.Flags().Changed("rows"), c.Flags().Changed("from")
			f.modelsGiven = c.Flags().Changed("model") && c.Flags().Changed("tokenizer")
			return f.show(c, args)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.model, "model", train.BaseName, "folder of the model; base and base-b are embedded")
	flags.StringVar(&f.tokenizer, "tokenizer", "", "folder of a tokenizer alone, in place of a model")
	flags.StringVar(&f.template, "chat-template", "", "chat template: a built-in name or a Jinja file; without one the model's own, else chatml")
	flags.StringVar(&f.columns, "columns", "", "which columns to read, such as prompt=question,completion=answer")
	flags.StringVar(&f.format, "format", "", "format of files where it cannot be found out: jsonl, json, csv, text or parquet")
	flags.StringVar(&f.objective, "objective", "sft", "sft learns completions and assistant turns, cpt every token")
	flags.BoolVar(&f.lastTurn, "mask-history", false, "learn only the last assistant turn of a conversation")
	flags.IntVar(&f.maxLength, "max-length", 0, "longest row in tokens; 0 is the model's context, at most 1024")
	flags.BoolVar(&f.packing, "packing", false, "put several rows into one, kept apart")
	flags.StringSliceVar(&f.evalData, "eval-data", nil, "held-out data to compare with")
	flags.StringSliceVar(&f.allow, "allow", nil, "findings that are no reason for status 1, by name")
	flags.IntVar(&f.rows, "rows", 5, "rows to show; 50 on a page of HTML")
	flags.IntVar(&f.from, "from", 0, "the first row to show, from 0")
	flags.BoolVar(&f.ids, "ids", false, "a line for each token, with position and id")
	flags.StringVar(&f.color, "color", "auto", "auto, always or never; without colour targets stand in brackets")
	flags.StringVar(&f.html, "html", "", "write a page of HTML to this file; the terminal gets the summary alone")
	flags.BoolVar(&f.asJSON, "json", false, "print a JSON line for each row before packing")
	flags.SortFlags = false
	return c
}

// check refuses flags that make no sense.
func (f *dataFlags) check() error {
	switch {
	case f.color != "auto" && f.color != "always" && f.color != "never":
		return usagef("--color is %q; it can be auto, always or never", f.color)
	case f.rows < 0 || f.from < 0:
		return usagef("--rows and --from must not be negative")
	case f.modelsGiven:
		return usagef("--model and --tokenizer are both given: a model brings its own tokenizer")
	case f.asJSON && (f.html != "" || f.rowsGiven || f.fromGiven || f.packing || len(f.evalData) > 0):
		return usagef("--json prints every row before packing and nothing else: leave out --html, --rows, --from, --packing and --eval-data")
	}
	if err := data.CheckNames(f.allow); err != nil {
		return usagef("--allow: %w", err)
	}
	return nil
}

func (f *dataFlags) show(c *cobra.Command, args []string) error {
	if err := f.check(); err != nil {
		return err
	}
	corpora, err := f.corpora(args)
	if err != nil {
		return err
	}
	t, encoder, err := f.encoder()
	if err != nil {
		return err
	}
	if f.asJSON {
		all, wrong, err := inspect.JSON(c.Context(), c.OutOrStdout(), corpora, encoder)
		if err == nil && wrong > 0 {
			err = fmt.Errorf("%d of %d rows cannot be learned from", wrong, all)
		}
		return err
	}
	d, err := data.Open(c.Context(), data.Config{Corpora: corpora, Allow: data.FindingNames(), EncoderConfig: encoder})
	if err != nil {
		return err
	}
	if f.html != "" && !f.rowsGiven {
		f.rows = 50
	}
	page, err := inspect.New(d, t, encoder.Template, f.packing, f.from, f.rows)
	if err != nil {
		return err
	}
	if len(f.evalData) > 0 {
		heldOut, err := f.openHeldOut(c, encoder)
		if err != nil {
			return err
		}
		page.Compare(d, heldOut)
	}
	return f.write(c.OutOrStdout(), page)
}

// corpora returns what is read of some paths, and what of it is learned.
func (f *dataFlags) corpora(paths []string) ([]data.Corpus, error) {
	o, err := train.ObjectiveNamed(f.objective)
	if err != nil {
		return nil, usagef("--%w", err)
	}
	corpora, err := train.Paths(paths...).Corpora(f.columns, f.format, o)
	if err != nil {
		return nil, usagef("--%w", err)
	}
	return corpora, nil
}

// encoder opens the tokenizer and the template.
func (f *dataFlags) encoder() (*tokenizer.Tokenizer, data.EncoderConfig, error) {
	e := data.EncoderConfig{MaxLength: f.maxLength, LastTurn: f.lastTurn}
	t, most, err := f.open()
	if err != nil {
		return nil, e, err
	}
	if e.MaxLength == 0 {
		e.MaxLength = min(most, 1024)
	}
	if e.MaxLength < 3 || e.MaxLength > most {
		return nil, e, usagef("--max-length is %d; the model takes 3 to %d tokens", f.maxLength, most)
	}
	e.Tokenizer = t
	if e.Template, err = data.OpenTemplate(f.template, t); err != nil {
		return nil, e, fmt.Errorf("chat template: %w", err)
	}
	return t, e, nil
}

// anyLength is the context of a tokenizer without a model.
const anyLength = 1 << 20

// open returns the tokenizer and the model's context.
func (f *dataFlags) open() (*tokenizer.Tokenizer, int, error) {
	if f.tokenizer != "" {
		t, err := train.OpenTokenizer(f.tokenizer)
		return t, anyLength, err
	}
	src, err := train.OpenModel(f.model)
	if err != nil {
		return nil, 0, err
	}
	config, err := model.LoadConfig(src, f.model)
	if err != nil {
		return nil, 0, err
	}
	t, err := tokenizer.Load(src, f.model)
	return t, config.MaxPositions, err
}

func (f *dataFlags) openHeldOut(c *cobra.Command, encoder data.EncoderConfig) (*data.Dataset, error) {
	corpora, err := f.corpora(f.evalData)
	if err != nil {
		return nil, err
	}
	d, err := data.Open(c.Context(), data.Config{Corpora: corpora, HeldOut: true, Allow: data.FindingNames(), EncoderConfig: encoder})
	if err != nil {
		return nil, fmt.Errorf("held-out data: %w", err)
	}
	return d, nil
}

// write shows the page and says whether training would stop.
func (f *dataFlags) write(out io.Writer, page *inspect.Page) error {
	t := inspect.Terminal{IDs: f.ids, Width: min(terminalWidth(), 100), Color: f.colored()}
	if f.html != "" {
		if err := disk.WriteFile(f.html, page.HTML); err != nil {
			return err
		}
	} else if err := t.Rows(out, page); err != nil {
		return err
	}
	if err := t.Summary(out, page); err != nil {
		return err
	}
	if err := page.Refuse(f.allow); err != nil {
		return fmt.Errorf("training would stop: %w", err)
	}
	return nil
}

// colored reports whether tokens are told apart by colours: on a terminal, unless
// NO_COLOR is set (no-color.org).
func (f *dataFlags) colored() bool {
	if f.color != "auto" {
		return f.color == "always"
	}
	return os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(os.Stdout.Fd()))
}
