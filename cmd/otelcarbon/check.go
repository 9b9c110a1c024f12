package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/otelcarbon/otelcarbon/internal/tables"
)

func checkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "check",
		Short: "Look for mistakes in tables",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("check what? One of: clouds FILE, data")
		},
	}
	c.AddCommand(
		&cobra.Command{
			Use:   "clouds FILE",
			Short: "Check a table of cloud regions of one's own",
			Long: "Check a table of cloud regions that is to take the place of the embedded clouds.csv.\n" +
				"The columns cloud.provider and cloud.region and an intensity are needed. Each mistake\n" +
				"is printed with file, line, column and what would be right. FILE may be -, the standard input.",
			Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return no(checkClouds(cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr(), args[0]))
			},
		},
		&cobra.Command{
			Use:   "data",
			Short: "Check the tables inside this program",
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return checkData(cmd.OutOrStdout(), cmd.ErrOrStderr())
			},
		},
	)
	return c
}

func checkClouds(stdin io.Reader, stdout, stderr io.Writer, name string) error {
	t, err := readClouds(stdin, name)
	if err != nil {
		if _, ok := errors.AsType[*os.PathError](err); ok {
			return err
		}
		fmt.Fprintln(stderr, err)
		return &answerError{}
	}
	if name == "-" {
		name = standardInput
	}
	_, err = fmt.Fprintf(stdout, "%s: %s, no mistakes\n", name, count(t.Len(), "region"))
	return err
}

const standardInput = "standard input"

func readClouds(stdin io.Reader, name string) (*tables.CloudTable, error) {
	if name == "-" {
		return tables.ReadClouds(standardInput, stdin)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return tables.ReadClouds(name, f)
}

func checkData(stdout, stderr io.Writer) error {
	errs := tables.Check()
	for _, err := range errs {
		fmt.Fprintln(stderr, err)
	}
	if len(errs) > 0 {
		return no(fmt.Errorf("%s in the embedded tables", count(len(errs), "mistake")))
	}
	_, err := fmt.Fprintln(stdout, "embedded tables: no mistakes")
	return no(err)
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
