package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

func keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make a shared key, with which what strangers send is not believed",
	}
	cmd.AddCommand(&cobra.Command{
		Use:     "new FILE",
		Short:   "Make a file with a new random key, which only you can read",
		Example: "  udpkit key new class.key" + "\n" + "  udpkit server --key-file class.key",
		Long: "Make a file with a new random key, which only you can read. Copy it to all who take part, by a way that you trust,\n" +
			"and give each program --key-file FILE, or set UDPKIT_KEY_FILE.\n\n" +
			"A program looks at its file once a second. To change the key while programs run: add the line of the new one below\n" +
			"the old one in each file; when all have it, move it above; then take out the old one.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usageError{errors.New("name the one file to make, such as class.key")}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if err := key.Create(args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(stdout, "%s holds a new key. Who has it can speak and read as you do.\n", args[0])
			return err
		},
	})
	return cmd
}

// keyFlags are those of a command that takes a shared key.
type keyFlags struct {
	file string
	seal bool
}

func (k *keyFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&k.file, "key-file", "", "believe and answer only what is signed with the key in this `file`, and sign what is sent; see udpkit key new")
	cmd.Flags().BoolVar(&k.seal, "seal", false, "encrypt what is sent too, with the key")
}

// ring returns the keys, nil if there are none. Until ctx ends they follow the file.
func (k *keyFlags) ring(ctx context.Context) (*key.Ring, error) {
	if k.file == "" {
		if k.seal {
			return nil, usageError{errors.New("--seal needs --key-file")}
		}
		return nil, nil
	}
	ring, err := key.Load(k.file)
	if err != nil {
		return nil, err
	}
	go ring.Watch(ctx, func(err error) {
		if err != nil {
			fmt.Fprintf(progress, "The key file %s has changed and cannot be used; the keys stay as they are: %v\n", k.file, err)
		} else {
			fmt.Fprintf(progress, "The key file %s has changed, and is in use.\n", k.file)
		}
	})
	return ring, nil
}
