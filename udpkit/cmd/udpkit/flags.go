package main

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// notebooks marks the command whose environment is for the notebooks that it starts.
const notebooks = "notebooks"

// complete gives a command and those below it what all have in common.
func complete(cmd *cobra.Command) {
	if cmd.Name() != "help" && (cmd.Args == nil || strings.HasPrefix(cmd.CommandPath(), "udpkit completion")) {
		cmd.Args = noArguments
	}
	cmd.SuggestionsMinimumDistance = 2
	if !cmd.Runnable() {
		cmd.RunE = choose
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "interface" {
			_ = cmd.RegisterFlagCompletionFunc(f.Name, func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
				return interfaces(), cobra.ShellCompDirectiveNoFileComp
			})
		}
		if f.Value.Type() == "duration" {
			f.Value = duration{f.Value}
			if f.DefValue == "0s" {
				f.DefValue = "0" // which the help leaves out
			}
		}
	})
	for _, c := range cmd.Commands() {
		complete(c)
	}
}

// choose is what a command does that only has others: it says which there are, as any command does
// that needs more than was typed. udpkit by itself shows its help.
func choose(cmd *cobra.Command, _ []string) error {
	if !cmd.HasParent() {
		return cmd.Help()
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return usageError{fmt.Errorf("choose one of the commands %s", inWords(names))}
}

// inWords returns two or more names as in a sentence.
func inWords(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// settle sets the flags that are not given from the environment, and refuses those that are given
// as nothing: it would pass for not given. Where 0 has a meaning the help says it: "(0: no limit)".
func settle(cmd *cobra.Command) (failure error) {
	_, others := cmd.Annotations[notebooks]
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		where := "--" + f.Name
		if !f.Changed && !others && f.Name != "help" && failure == nil {
			for _, name := range append(f.Annotations[alsoNamed], f.Name) {
				_, usage := pflag.UnquoteUsage(f)
				variable, err := panel.FlagFromEnv(name, usage, func(value string) error {
					return explain(f, cmd.Flags().Set(f.Name, value))
				})
				if variable != "" {
					where = "the environment variable " + variable
				}
				if err != nil {
					failure = usageError{err}
				}
			}
		}
		if !f.Changed || failure != nil {
			return
		}
		switch value := f.Value.String(); f.Value.Type() {
		case "string", "stringSlice":
			if value == "" || value == "[]" {
				failure = usageError{fmt.Errorf("%s is empty: leave it out, or give it a value", where)}
			}
		case "bool":
		default:
			if strings.HasPrefix(value, "-") {
				failure = usageError{fmt.Errorf("%s %s: it cannot be negative", where, value)}
			} else if (value == "0" || value == "0s") && !strings.Contains(f.Usage, "(0: ") {
				failure = usageError{fmt.Errorf("%s 0: it cannot be 0", where)}
			}
		}
	})
	return failure
}

// alsoNamed is the annotation of a flag that has other names.
const alsoNamed = "also"

// alias lets --name stand for a flag, as it does in the other commands.
func alias(cmd *cobra.Command, flag string) {
	const name = "name"
	cmd.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, given string) pflag.NormalizedName {
		if given == name {
			given = flag
		}
		return pflag.NormalizedName(given)
	})
	f := cmd.Flags().Lookup(flag)
	f.Usage += "; --" + name + " is the same"
	f.Annotations = map[string][]string{alsoNamed: {name}}
}

// flagError says what is wrong with a flag.
func flagError(cmd *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	var unknown *pflag.NotExistError
	switch {
	case errors.As(err, &invalid):
		f := invalid.GetFlag()
		err = fmt.Errorf("--%s %q is %w", f.Name, invalid.GetValue(), explain(f, err))
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		names := &cobra.Command{SuggestionsMinimumDistance: 2} // which knows how to compare
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			names.AddCommand(&cobra.Command{Use: "--" + f.Name, Run: func(*cobra.Command, []string) {}})
		})
		err = fmt.Errorf("%w%s", err, suggestion(names, "--"+unknown.GetSpecifiedName()))
	}
	return usageError{err}
}

// explain returns why a value is none of a flag's, nil if it is one.
func explain(f *pflag.Flag, err error) error {
	if err == nil {
		return nil
	}
	why, ok := map[string]string{
		"uint16":      "not a number from 0 to 65535",
		"int":         "not a whole number",
		"int64":       "not a whole number",
		"uint64":      "not a whole number of 0 or more",
		"bool":        "neither true nor false",
		"stringSlice": "not a list such as a,b,c",
	}[f.Value.Type()]
	if ok {
		return errors.New(why)
	}
	if invalid := new(pflag.InvalidValueError); errors.As(err, &invalid) {
		err = invalid.Unwrap()
	}
	return err
}

// suggestion returns what may have been meant by a command, as the end of a sentence.
func suggestion(cmd *cobra.Command, typed string) string {
	names := cmd.SuggestionsFor(typed)
	if len(names) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(slices.Sorted(slices.Values(names)), " or ") + "?"
}

// duration is a flag's time that may be in days, or a bare number of seconds.
type duration struct{ pflag.Value }

func (d duration) Set(text string) error {
	parsed, err := parseDuration(text)
	switch {
	case err == nil && parsed >= 0:
		return d.Value.Set(parsed.String())
	case err == nil:
		err = errors.New(": it is negative")
	default:
		err = errors.New("")
	}
	return fmt.Errorf("not a number of seconds, or a time such as 1500ms, 2m or 1d%w", err)
}

func parseDuration(text string) (time.Duration, error) {
	if days, rest, ok := strings.Cut(text, "d"); ok {
		n, err := time.ParseDuration(days + "h")
		if err == nil && n.Abs() > 100*365*time.Hour {
			err = errors.New("more than a hundred years")
		}
		if err != nil || rest == "" {
			return 24 * n, err
		}
		d, err := time.ParseDuration(rest)
		return 24*n + d, err
	}
	if d, err := time.ParseDuration(text); err == nil {
		return d, nil
	}
	return time.ParseDuration(text + "s")
}

// addRunFlags adds the flags of commands that run and show something until they are ended.
func addRunFlags(cmd *cobra.Command, asJSON *bool, maxRuntime *time.Duration) {
	addJSONFlag(cmd, asJSON)
	cmd.Flags().DurationVar(maxRuntime, "max-runtime", 0, "end after this time (0: no limit)")
}

// addRecordFlag adds the flag of commands that keep what they send and receive.
func addRecordFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "record", "", "keep what is sent and received in this `file` (pcapng), for Wireshark and udpkit replay; if there is one of that\nname, in another beside it; headers are rebuilt, and keys are not kept; it grows with all that comes")
}

func addJSONFlag(cmd *cobra.Command, asJSON *bool) {
	cmd.Flags().BoolVar(asJSON, "json", false, "print one JSON object a line")
}

// completeWith has the shell complete a flag with these values.
func completeWith[S ~string](cmd *cobra.Command, flag string, values ...S) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(texts(values), cobra.ShellCompDirectiveNoFileComp))
}

// texts returns values of a type of strings.
func texts[S ~string](values []S) []string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = string(v)
	}
	return list
}

// interfaces returns the names of those of this machine.
func interfaces() []string {
	all, _ := net.Interfaces()
	names := make([]string, len(all))
	for i, nic := range all {
		names[i] = nic.Name
	}
	return names
}
