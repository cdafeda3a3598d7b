package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/doctor"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

func doctorCommand() *cobra.Command {
	var (
		cfg    doctor.Config
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong with the network of this machine",
		Example: "  udpkit doctor" + "\n" +
			"  sudo udpkit doctor --port 40000   # it sees the firewall's rules, and the programs of all users",
		Long: "Look at the interfaces, at who has the port, at the receive buffer and at the firewall, and send a datagram by\n" +
			"each way of each interface to see whether it comes back. Nothing is sent beyond the local networks; other\n" +
			"programs on the port get some of it, and refuse it. For each thing that is wrong there is one thing to do next.\n" +
			"It takes 5 s at most. The exit code is 0 if nothing is wrong, 1 if something is.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return examine(cmd.Context(), cfg, asJSON)
		},
	}
	cmd.Flags().Uint16Var(&cfg.Port, "port", udpkit.DefaultPort, "UDP `port` in question")
	cmd.Flags().IntVar(&cfg.ReadBuffer, "buffer", udpkit.ReadBufferSize, "receive buffer in `bytes` that a program asks for")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// examine prints what the doctor finds. That it finds something is an error, for the exit code.
func examine(ctx context.Context, cfg doctor.Config, asJSON bool) error {
	report, err := doctor.Examine(ctx, cfg)
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted before all was looked at")
	case err != nil:
		return err
	case asJSON:
		err = console.NewJSON(stdout).Event(doctorReport{report})
	default:
		for line := range strings.Lines(reportText(report)) { // names may be anybody's
			if _, err = fmt.Fprintln(stdout, panel.Printable(strings.TrimSuffix(line, "\n"))); err != nil {
				break
			}
		}
	}
	if n := len(report.Findings); err == nil && n > 0 {
		err = errors.New(format.Plural(n, "finding"))
	}
	return err
}

// doctorReport is a line of JSON.
type doctorReport struct{ doctor.Report }

func (doctorReport) Kind() string { return "report" }

// reportText says what was seen, and then what is wrong.
func reportText(r doctor.Report) string {
	var b strings.Builder
	for _, i := range r.Interfaces {
		b.WriteString(interfaceLine(i) + "\n")
	}
	for _, route := range r.Routes {
		by := ""
		if route.By.IsValid() {
			by = fmt.Sprintf(" by %v", route.By)
		}
		fmt.Fprintf(&b, "route      %v%s, %s\n", route.To, by, route.Interface)
	}
	fmt.Fprintf(&b, "port       %d is %s\n", r.Port, r.PortState)
	if r.BufferAsked > 0 {
		fmt.Fprintf(&b, "buffer     %s of the %s asked for\n", format.Bytes(r.BufferGranted), format.Bytes(r.BufferAsked))
	}
	if d := r.Datagrams; d != nil {
		fmt.Fprintf(&b, "kernel     %s received since the start, %s dropped as a program's buffer was full\n", format.Plural(d.Received, "datagram"), format.Number(d.Dropped))
	}
	if len(r.Firewalls) > 0 {
		fmt.Fprintf(&b, "firewall   %s\n", strings.Join(r.Firewalls, ", "))
	}
	if r.Place != "" {
		fmt.Fprintf(&b, "place      %s: its networks are not those of its host\n", r.Place)
	}
	back := 0
	for _, own := range r.Own {
		if own.Back {
			back++
		}
	}
	fmt.Fprintf(&b, "own        %d of %s came back\n", back, format.Plural(len(r.Own), "datagram"))
	if len(r.Findings) == 0 {
		return b.String() + "\nNothing is wrong."
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "\n%s: %s\n  Next: %s\n", f.Severity, f.Text, f.Next)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func interfaceLine(i doctor.Interface) string {
	line := fmt.Sprintf("%-10s %s", i.Name, map[bool]string{true: "up", false: "down"}[i.Up])
	for _, text := range []string{i.Sort, format.NotZero(uint64(i.MTU), fmt.Sprintf("MTU %d", i.MTU))} {
		if text != "" {
			line += ", " + text
		}
	}
	if i.Up && !i.Link {
		line += ", no link"
	}
	for _, p := range i.Addresses {
		if p.Addr().Is4() {
			line += fmt.Sprintf(", %v", p)
		}
	}
	for _, a := range i.Broadcasts {
		line += fmt.Sprintf(", broadcast %v", a)
	}
	return line
}
