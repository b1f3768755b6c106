package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"gotune/report"
)

func newReport() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "report PATH",
		Short: "Make a page of what a study, an ablation or a whole suite found",
		Long: `report makes report.html of a laboratory's folder with all its studies, of the folder
of one study, or of a file result.json: the claim, what was run, the verdicts, pictures,
sample answers, and how to repeat it. The page is one file that needs no network.
pictures/ beside it holds each picture as SVG, as PNG and as CSV. Nothing is trained or
measured: the page is made from result.json and the run folders that it names.`,
		Example: `  gotune report runs/ablation                        an ablation
  gotune report reproduce --output page              a suite
  gotune report reproduce/studies/k05-cpt-loss-rises one study of it`,
		Args: exactly(1, "a laboratory, a study or a result.json"),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := report.Open(args[0])
			if err != nil {
				return err
			}
			if output == "" {
				output = besides(args[0])
			}
			path, err := r.Write(c.Context(), output)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), path)
			return err
		},
	}
	c.Flags().StringVar(&output, "output", "", "folder for report.html and pictures; those of an earlier report are replaced (default: report in the folder that is named)")
	return c
}

// besides is where the report of a path goes: into its folder.
func besides(path string) string {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		path = filepath.Dir(path)
	}
	return filepath.Join(path, "report")
}
