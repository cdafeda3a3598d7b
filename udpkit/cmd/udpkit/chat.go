package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
	"github.com/gonb-labs/udp-notebooks/udpkit/chat/chatpanel"
	"github.com/gonb-labs/udp-notebooks/udpkit/key/keytls"
)

func chatCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "chat",
		Short: "Chat over TCP: a server, and clients of it",
		Long: "Chat over TCP: what one says goes to all others. netcat is a client too: nc ADDRESS 8000.\n" +
			"A line /name ann takes a name, /who asks who is here, exit leaves. With --key-file at all of them, a chat is\n" +
			"encrypted and nobody else can join; netcat cannot either.",
	}
	cmd.AddCommand(chatServerCommand(), chatClientCommand())
	return cmd
}

func chatServerCommand() *cobra.Command {
	var (
		cfg chat.ServerConfig
		opt = chatpanel.Options{In: os.Stdin}
		at  address

		secret   keyFlags
		measured metrics
	)
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Relay messages between clients",
		Example: "  udpkit chat server" + "\n" +
			"  udpkit chat server --address 127.0.0.1   # this machine only" + "\n" +
			"  udpkit chat server --key-file class.key",
		Long: "Relay messages between clients. What you type goes to all of them; /who tells who is here, and exit\n" +
			"ends the server.\n\n" + segmentsHelp,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.Listen, err = at.listen(cmd.Context()); err != nil {
				return err
			}
			ring, err := secret.ring(cmd.Context())
			if err != nil {
				return err
			}
			if ring != nil {
				cfg.Secure = keytls.Server(ring)
			} else {
				warn(cmd.Context(), cfg.Listen, "use the server", "--address 127.0.0.1")
			}
			opt.Out = stdout
			if opt.Watch, err = measured.serve(cmd.Context()); err != nil {
				return err
			}
			return chatpanel.Server(cmd.Context(), cfg, opt)
		},
	}
	at.ofListener(cmd, "TCP", "0.0.0.0", chat.DefaultPort)
	cmd.Flags().IntVar(&cfg.MaxClients, "max-clients", 256, "how many clients may be connected at once")
	addChatKey(cmd, &secret)
	measured.add(cmd)
	addRecordFlag(cmd, &opt.Record)
	addRunFlags(cmd, &opt.JSON, &opt.MaxRuntime)
	return cmd
}

func chatClientCommand() *cobra.Command {
	var (
		cfg chat.ClientConfig
		opt = chatpanel.Options{In: os.Stdin}
		at  address

		secret keyFlags
	)
	cmd := &cobra.Command{
		Use:   "client",
		Short: "Take part in a chat",
		Example: "  udpkit chat client --name ann" + "\n" +
			"  udpkit chat client --name ann --address 192.0.2.7:8000",
		Long: "Take part in a chat. What you type goes to all others; exit leaves.\n\n" + segmentsHelp,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.Name != "" {
				if err := chat.CheckName(cfg.Name); err != nil {
					return err
				}
			}
			if cfg.Server, err = at.resolve(cmd.Context()); err != nil {
				return err
			}
			ring, err := secret.ring(cmd.Context())
			if err != nil {
				return err
			}
			if ring != nil {
				cfg.Secure = keytls.Client(ring)
			}
			opt.Out = stdout
			return chatpanel.Client(cmd.Context(), cfg, opt)
		},
	}
	at.ofServer(cmd, "TCP", chat.DefaultPort)
	cmd.Flags().StringVar(&cfg.Name, "name", "", "the `name` that others see (default your address); asked for by a line \"/name NAME\", which a server of another\nkind passes on like any other")
	addChatKey(cmd, &secret)
	addRecordFlag(cmd, &opt.Record)
	addRunFlags(cmd, &opt.JSON, &opt.MaxRuntime)
	return cmd
}

// segmentsHelp says what a recording of a chat is.
const segmentsHelp = "With --record, TCP segments are rebuilt: each is what was written or read at once, and the handshake, the\n" +
	"numbers and the end are made up for it, so that Wireshark can follow the stream. What a key encrypts stays so."

// addChatKey adds the flag for a key, with which a chat is always encrypted.
func addChatKey(cmd *cobra.Command, secret *keyFlags) {
	cmd.Flags().StringVar(&secret.file, "key-file", "", "chat only with those who have the key in this `file`, encrypted; see udpkit key new")
}
