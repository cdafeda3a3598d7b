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
		with   string
		answer bool
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong with the network",
		Example: "  udpkit doctor                     # look at this machine" + "\n" +
			"  udpkit doctor --answer            # on another, for" + "\n" +
			"  udpkit doctor --with 192.168.0.7  # here: look at what goes between the two" + "\n" +
			"  sudo udpkit doctor --port 40000   # it sees the firewall's rules, and the programs of all users",
		Long: "Look at the interfaces, at who has the port, at the receive buffer and at the firewall, and send a datagram by\n" +
			"each way of each interface to see whether it comes back. Nothing is sent beyond the local networks; other\n" +
			"programs on the port get some of it, and refuse it. For each thing that is wrong there is one thing to do next.\n" +
			"With a host that runs udpkit doctor --answer, it also tries unicast, broadcast and multicast both ways, the MTU,\n" +
			"the loss and the round trip of 100 datagrams, and the clocks; if several answer, it says who hears whom.\n" +
			"It takes 5 s at most. The exit code is 0 if nothing is wrong, 1 if something is.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case answer && with != "":
				return usageError{errors.New("--answer and --with exclude one another")}
			case answer:
				return answerDoctors(cmd.Context(), cfg, asJSON)
			case with != "":
				at, err := lookUp(cmd.Context(), with)
				if err != nil {
					return err
				}
				cfg.With = at
			}
			return examine(cmd.Context(), cfg, asJSON)
		},
	}
	cmd.Flags().Uint16Var(&cfg.Port, "port", udpkit.DefaultPort, "UDP `port` in question")
	cmd.Flags().IntVar(&cfg.ReadBuffer, "buffer", udpkit.ReadBufferSize, "receive buffer in `bytes` that a program asks for")
	cmd.Flags().StringVar(&with, "with", "", "`host` on which udpkit doctor --answer runs, of a local network")
	cmd.Flags().BoolVar(&answer, "answer", false, "answer doctors on other hosts until ended; an answer is never longer than its question")
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

// answerDoctors answers until ctx ends.
func answerDoctors(ctx context.Context, cfg doctor.Config, asJSON bool) error {
	a, err := doctor.NewAnswerer(ctx, cfg)
	if err != nil {
		return err
	}
	if asJSON {
		err = console.NewJSON(stdout).Event(doctorAnswers{cfg.Port})
	} else {
		_, err = fmt.Fprintf(stdout, "Answering doctors on port %d. On another host: udpkit doctor --port %d --with HOST\n", cfg.Port, cfg.Port)
	}
	return errors.Join(err, a.Run(ctx))
}

type doctorAnswers struct {
	Port uint16 `json:"port"`
}

func (doctorAnswers) Kind() string { return "start" }

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
	if r.With != nil {
		b.WriteString(peerText(*r.With))
	}
	b.WriteString(hearingText(r))
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

func peerText(p doctor.Peer) string {
	if !p.Answers {
		return fmt.Sprintf("with       %v does not answer\n", p.Host)
	}
	offset := format.Short(p.Offset) + " ahead"
	if p.Offset < 0 {
		offset = format.Short(-p.Offset) + " behind"
	}
	return fmt.Sprintf("with       %v: there by %s; back by %s\n", p.Host, strings.Join(p.Out, ", "), strings.Join(p.In, ", ")) +
		fmt.Sprintf("           %d of %d lost, round trip %s, datagrams up to %d bytes, clock %s (to within %s)\n",
			p.Lost, p.Sent, format.Short(p.RTT), p.Largest, offset, format.Short(p.RTT/2))
}

// hearingText is a table of who hears whom.
func hearingText(r doctor.Report) string {
	var b strings.Builder
	for i, row := range r.Heard {
		var whom []string
		for _, other := range row {
			whom = append(whom, r.Answerers[other].String())
		}
		if len(whom) == 0 {
			whom = []string{"nobody"}
		}
		fmt.Fprintf(&b, "answers    %v hears broadcasts of %s\n", r.Answerers[i], strings.Join(whom, ", "))
	}
	return b.String()
}
