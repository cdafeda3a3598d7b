package main

import (
	"errors"
	"math/rand/v2"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit/weather"
	"github.com/gonb-labs/udp-notebooks/udpkit/weather/weatherpanel"
)

func weatherCommand() *cobra.Command {
	var (
		cfg    weather.Config
		opt    weatherpanel.Options
		listen string
		to     string
	)
	cmd := &cobra.Command{
		Use:   "weather",
		Short: "Forward between two programs, and lose, delay, double and reorder on the way",
		Example: "  udpkit weather --listen 7000 --to 127.0.0.1:12345 --loss 20% --delay 50ms --jitter 20ms" + "\n" +
			"  udpkit weather --listen 7000 --to 127.0.0.1:37020 --loss 30%      then: udpkit server --target 127.0.0.1:7000" + "\n" +
			"  udpkit weather --listen 7001 --to chat.example:20010 --tcp --delay 200ms --settings weather.json",
		Long: "Forward between programs that talk to --listen and the one at --to, and lose, delay, double and reorder what is\n" +
			"sent, in both directions. The same --seed does the same to the same datagrams. Over TCP what is lost comes later,\n" +
			"as what is behind it does.\n\n" +
			"The weather can be changed while it lasts: by lines that are typed, such as loss=20% delay=50ms, or fair; and by\n" +
			"the file of --settings, which is read twice a second: {\"loss\": \"20%\", \"delay\": \"50ms\"}. What the file does not\n" +
			"have is as the flags say.\n\n" +
			"Who can reach the address can send to the program behind it: by default this machine only.",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			switch {
			case listen == "":
				return usageError{errors.New("--listen is needed: the port that is sent to")}
			case to == "":
				return usageError{errors.New("--to is needed: HOST:PORT of the program to forward to")}
			}
			if cfg.To, err = (address{host: to}).resolve(cmd.Context()); err != nil {
				return err
			}
			if cfg.Listen, err = listenAddress(listen).listen(cmd.Context()); err != nil {
				return err
			}
			if cfg.Seed == 0 {
				cfg.Seed = 1 + rand.Uint64N(1_000_000)
			}
			warn(cmd.Context(), cfg.Listen, "send to "+to, "--listen "+strconv.Itoa(int(cfg.Listen.Port())))
			opt.Out, opt.In = stdout, os.Stdin
			return weatherpanel.Show(cmd.Context(), cfg, opt)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&listen, "listen", "", "`where` the one program sends to: PORT on this machine alone, or HOST:PORT (port 0: any free one)")
	flags.StringVar(&to, "to", "", "`HOST:PORT` of the other program")
	flags.BoolVar(&cfg.TCP, "tcp", false, "forward TCP connections instead of datagrams")
	for _, one := range weather.List() {
		flags.Func(one.Name, one.Usage, func(text string) error { return one.Set(&cfg.Settings, text) })
	}
	flags.Uint64Var(&cfg.Seed, "seed", 0, "`number` that decides what happens to what (0: one by chance, which is shown)")
	flags.StringVar(&cfg.File, "settings", "", "`file` of settings in JSON, read again when it changes")
	addRunFlags(cmd, &opt.JSON, &opt.MaxRuntime)
	return cmd
}

// listenAddress reads PORT or HOST:PORT.
func listenAddress(text string) address {
	if port, err := strconv.ParseUint(text, 10, 16); err == nil {
		return address{host: "127.0.0.1", port: uint16(port)}
	}
	return address{host: text}
}
