package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit/lab"
)

func classCommand() *cobra.Command {
	var (
		cfg  lab.ClassConfig
		at   string
		port uint16
	)
	cmd := &cobra.Command{
		Use:   "class STUDENTS",
		Short: "Write a file for Docker Compose that gives each student of a class a lab",
		Example: "  udpkit class 30 --address 192.168.1.20 > class.yml" + "\n" +
			"  docker compose -f class.yml up --detach --wait",
		Long: "Write a file for Docker Compose to standard output, which belongs beside docker-compose.yml in a checkout: a lab for\n" +
			"the teacher and one for each student, all on one network that carries broadcasts, each with its own token, volume\n" +
			"and limits. The address of the teacher's page, which has the students' links, is printed to standard error.\n\n" +
			"The links are plain HTTP: who can read along in the network, can read the tokens too. Use a network that you trust,\n" +
			"such as a VPN.",
		Args: func(_ *cobra.Command, args []string) (err error) {
			if len(args) != 1 {
				return usageError{errors.New("say how many students there are, such as 30")}
			}
			if cfg.Students, err = strconv.Atoi(args[0]); err != nil {
				return usageError{fmt.Errorf("%q is not a number of students", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.Address, err = lookUp(cmd.Context(), at); err != nil {
				return fmt.Errorf("--address: %w", err)
			}
			cfg.Port = int(port)
			page, err := lab.WriteClass(stdout, cfg)
			if err == nil {
				fmt.Fprintf(progress, "When the class runs, this is the teacher's page, on this machine only:\n  %s\n", page)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&at, "address", "127.0.0.1", "`IP` address of this machine that students use")
	cmd.Flags().Uint16Var(&port, "port", lab.DefaultClassPort, "TCP `port` of the teacher's lab; the students' are those that follow")
	return cmd
}
