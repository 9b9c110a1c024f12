package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/otelcarbon/otelcarbon"
)

func noticeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "notice",
		Short: "Print the attributions of the data in this program",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), otelcarbon.Notice())
			return no(err)
		},
	}
}
