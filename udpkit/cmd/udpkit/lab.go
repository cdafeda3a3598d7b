package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit/lab"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

func labCommand() *cobra.Command {
	var (
		cfg          lab.Config
		at           address
		check, setUp bool
		join         string
	)
	cmd := &cobra.Command{
		Use:   "lab [broadcast|chat|relay]",
		Short: "Start JupyterLab with the notebooks, and set it up first if need be",
		Example: "  udpkit lab" + "\n" +
			"  udpkit lab chat" + "\n" +
			"  udpkit lab --clients 3 --port 9000" + "\n" +
			"  udpkit lab --check",
		Long: "Start JupyterLab with the index of the notebooks, from which one click opens a server's notebook beside its\n" +
			"clients'; or at once with those of the broadcast, the chat or the relay. You work on copies, in the directory\n" +
			"my-notebooks of the checkout, of which git sees nothing: each start renews those that you have not edited, and\n" +
			"leaves the others as they are. One that you delete comes back as it was. The first start builds the Go kernel and installs JupyterLab, both into the user's cache directory,\n" +
			"which takes a few minutes; the next ones take seconds. Outside a checkout of the repository, an installed udpkit\n" +
			"copies the notebooks and the package of its version to ./udp-notebooks, and leaves a copy that is there as it is.\n" +
			"The environment variable JUPYTER_TOKEN fixes the token of the addresses. UDPKIT_PUBLIC_URL, such as\n" +
			"https://lab.example.org, is what browsers on other machines open: that of a proxy with a certificate, since without\n" +
			"TLS whoever reads along in the network learns the token.",
		Annotations: map[string]string{notebooks: ""},
		ValidArgs:   lab.Layouts(),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && !slices.Contains(lab.Layouts(), args[0]) {
				return usageError{fmt.Errorf("unexpected argument %q: name one of %s", args[len(args)-1], strings.Join(lab.Layouts(), ", "))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				cfg.Layout = args[0]
			}
			listen, err := at.listen(cmd.Context())
			if err != nil {
				return err
			}
			cfg.Address, cfg.Port = listen.Addr().String(), cmp.Or(int(listen.Port()), lab.AnyPort)
			if join != "" {
				if cfg.Join, err = lookUp(cmd.Context(), join); err != nil {
					return fmt.Errorf("--join: %w", err)
				}
			}
			// Whoever reads the output may go: what is running here must not be left alone because
			// of that.
			signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
			for _, name := range []string{"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"} {
				if dir := os.Getenv(name); dir != "" && !filepath.IsAbs(dir) {
					_ = os.Unsetenv(name) // the XDG specification has it ignored; the Go command would refuse to work
				}
			}
			cfg.Token, cfg.PublicURL = os.Getenv("JUPYTER_TOKEN"), os.Getenv("UDPKIT_PUBLIC_URL")
			cfg.Stdout = panel.Output(cmd.Context(), stdout)
			switch {
			case check && setUp:
				return usageError{errors.New("--check and --setup exclude each other")}
			case (check || setUp) && cfg.Layout != "":
				return usageError{fmt.Errorf("%s opens notebooks, and --check and --setup do not", cfg.Layout)}
			case check:
				return lab.Check(cmd.Context(), cfg)
			case setUp:
				_, err := lab.Setup(cmd.Context(), cfg)
				return err
			}
			return lab.Run(cmd.Context(), cfg)
		},
	}
	flags := cmd.Flags()
	at.addFlags(cmd, "127.0.0.1", lab.DefaultPort, "`IP` address of JupyterLab; another than a loopback address works in a container only",
		"TCP `port` of JupyterLab (0: any free one, which is printed)")
	flags.StringVar(&join, "join", "", "`HOST` whose chat and relay servers the notebooks use, such as the teacher's machine (default this one)")
	flags.IntVar(&cfg.Clients, "clients", lab.DefaultClients, "`number` of client notebooks beside a server's")
	flags.BoolVar(&cfg.NoBrowser, "no-browser", false, "print the addresses only")
	flags.BoolVar(&check, "check", false, "run a server and three clients without a browser, and report whether every message arrived")
	flags.BoolVar(&setUp, "setup", false, "build and install what is missing, try again what failed, and end")
	return cmd
}
