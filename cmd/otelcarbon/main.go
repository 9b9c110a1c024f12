// Command otelcarbon answers at the terminal what the components of the Collector
// answer as telemetry: what can be measured on this machine and why the rest
// cannot, and how much CO2 a kilowatt hour stands for at a place.
//
//	otelcarbon sensors                     what can be read here, and what would help
//	otelcarbon sensors --watch 2s          watts of each part, every two seconds
//	otelcarbon intensity aws:eu-west-1     grams per kWh, range, source and reason
//	otelcarbon check clouds FILE           the mistakes in a table of one's own
//	otelcarbon check data                  the same for the tables inside
//	otelcarbon notice                      attributions of those tables
//	otelcarbon version
//
// It needs no configuration and, but for intensity --live, no network and no key. The exit status is 0 when the
// answer was found, 1 when not, and 2 when the command line was wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "dev"

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

const (
	exitOK    = 0
	exitNo    = 1
	exitUsage = 2
)

// run returns the exit status. An interrupt ends a command early and well.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	var no *answerError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &no):
		if no.err != nil {
			fmt.Fprintf(stderr, "otelcarbon: %v\n", no.err)
		}
		return exitNo
	}
	fmt.Fprintf(stderr, "otelcarbon: %v\nTry \"%s --help\".\n", err, cmd.CommandPath())
	return exitUsage
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "otelcarbon",
		Short: "Energy of this machine and carbon intensity of its electricity",
		Long: "otelcarbon says what can be measured on this machine and why the rest cannot,\n" +
			"and how much CO2 a kilowatt hour stands for at a place. It needs no configuration\n" +
			"and, but for intensity --live, no network and no key.\n\nExit status: 0 answered, 1 no answer, 2 wrong command line.",
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.AddCommand(sensorsCommand(), intensityCommand(), checkCommand(), noticeCommand(), versionCommand())
	return root
}

// answerError is a failure of the work, as opposed to one of the command line. A
// nil err means that all has been said already.
type answerError struct{ err error }

func (e *answerError) Error() string {
	if e.err == nil {
		return "no answer"
	}
	return e.err.Error()
}

func (e *answerError) Unwrap() error { return e.err }

// no makes err a failure of the work; nil stays nil.
func no(err error) error {
	if err == nil {
		return nil
	}
	return &answerError{err}
}
