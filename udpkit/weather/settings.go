package weather

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
)

// ErrConfig is wrapped by errors about a configuration or settings.
var ErrConfig = service.ErrConfig

const (
	// MaxDelay is the longest Delay and Jitter.
	MaxDelay = 10 * time.Second
	// MaxRate is the largest Rate, in bytes a second.
	MaxRate = 1_000_000_000
	// MaxPartition is the longest partition, and the longest time until it begins.
	MaxPartition = time.Hour
	// maxSettings is the longest text of settings, in bytes.
	maxSettings = 64 << 10
)

// Settings are the weather. The zero value is fair: everything is forwarded at once. Loss,
// Duplicate and Reorder are chances of 0 to 1, independent of each other.
type Settings struct {
	// Loss is the chance that a datagram does not arrive.
	Loss float64
	// Duplicate is the chance that one that arrives does so twice.
	Duplicate float64
	// Reorder is the chance that one is overtaken by the next of the same source and direction; if
	// there is none, it waits for a second.
	Reorder float64
	// Delay is how long each is on its way, up to MaxDelay; Jitter how much more or less that may
	// be, by chance, up to MaxDelay. Those with different delays overtake each other.
	Delay, Jitter time.Duration
	// Rate is how many bytes a second get through in each direction, of all sources together, over
	// TCP of each connection; at most MaxRate, and 0 for any number. A datagram that would have to
	// wait for more than a second is dropped.
	Rate int
	// Partition loses all that comes for that long; it begins After the settings took effect.
	Partition, After time.Duration
}

// Setting describes one of the settings.
type Setting struct {
	Name  string
	Usage string // one line, with what it is `called`
	get   func(Settings) string
	set   func(*Settings, string) error
}

// Set changes the setting as a text says: a share as 20% or 0.2, a time as 50ms or 2s, or a number
// of seconds. An error begins with "not", and nothing is changed.
func (one Setting) Set(s *Settings, text string) error {
	changed := *s
	if err := one.set(&changed, text); err != nil {
		return err
	}
	*s = changed
	return nil
}

// List returns all settings.
func List() []Setting { return slices.Clone(list) }

var list = []Setting{
	chance("loss", "`share` of the datagrams that do not arrive, such as 20%", func(s *Settings) *float64 { return &s.Loss }),
	duration("delay", "`time` that each is on its way, such as 50ms", func(s *Settings) *time.Duration { return &s.Delay }),
	duration("jitter", "how much longer or shorter that may be, a `time`", func(s *Settings) *time.Duration { return &s.Jitter }),
	chance("duplicate", "`share` that arrive twice", func(s *Settings) *float64 { return &s.Duplicate }),
	chance("reorder", "`share` that are overtaken by the next one", func(s *Settings) *float64 { return &s.Reorder }),
	{
		"rate", "`bytes` a second that get through in each direction",
		func(s Settings) string { return strconv.Itoa(s.Rate) },
		func(s *Settings, text string) error {
			n, err := strconv.Atoi(text)
			if err != nil || n < 0 || n > MaxRate {
				return fmt.Errorf("not a number of bytes a second from 0 to %d", MaxRate)
			}
			s.Rate = n
			return nil
		},
	},
	{
		"partition", "`time` for which nothing arrives, and when it begins: 2s@10s is for 2 s, 10 s after the start or the last change",
		func(s Settings) string {
			if s.After == 0 {
				return s.Partition.String()
			}
			return s.Partition.String() + "@" + s.After.String()
		},
		func(s *Settings, text string) (err error) {
			length, after, at := strings.Cut(text, "@")
			if s.Partition, err = parseTime(length, MaxPartition); err != nil {
				return err
			}
			s.After = 0
			if at {
				s.After, err = parseTime(after, MaxPartition)
			}
			return err
		},
	},
}

func chance(name, usage string, of func(*Settings) *float64) Setting {
	return Setting{
		name, usage,
		func(s Settings) string { return strconv.FormatFloat(*of(&s), 'f', -1, 64) },
		func(s *Settings, text string) error {
			number, percent := strings.CutSuffix(text, "%")
			value, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
			if percent {
				value /= 100
			}
			if err != nil || !(value >= 0 && value <= 1) { // nor NaN
				return errors.New("not a share from 0% to 100%")
			}
			*of(s) = value
			return nil
		},
	}
}

func duration(name, usage string, of func(*Settings) *time.Duration) Setting {
	return Setting{
		name, usage,
		func(s Settings) string { return of(&s).String() },
		func(s *Settings, text string) (err error) {
			*of(s), err = parseTime(text, MaxDelay)
			return err
		},
	}
}

// parseTime reads a time, of seconds if it has no unit.
func parseTime(text string, most time.Duration) (time.Duration, error) {
	text = strings.TrimSpace(text)
	d, err := time.ParseDuration(text)
	if err != nil {
		d, err = time.ParseDuration(text + "s")
	}
	if err != nil || d < 0 || d > most {
		return 0, fmt.Errorf("not a time from 0 to %v, such as 50ms or 2s", most)
	}
	return d, nil
}

// set changes one setting. An error wraps ErrConfig, and nothing is changed.
func (s *Settings) set(name, text string) error {
	i := slices.IndexFunc(list, func(one Setting) bool { return one.Name == name })
	if i < 0 {
		var names []string
		for _, one := range list {
			names = append(names, one.Name)
		}
		return fmt.Errorf("%w: there is no setting %.40q; there are %s", ErrConfig, name, strings.Join(names, ", "))
	}
	if err := list[i].Set(s, text); err != nil {
		return fmt.Errorf("%w: %s %.40q is %w", ErrConfig, name, text, err)
	}
	return nil
}

// With returns the settings with those changed that a line names: "loss=20% delay=50ms"; "fair"
// makes all fair. An error wraps ErrConfig.
func (s Settings) With(line string) (Settings, error) {
	changed := s
	for word := range strings.FieldsSeq(line) {
		if word == "fair" {
			changed = Settings{}
			continue
		}
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			return s, fmt.Errorf("%w: %.40q is neither fair nor such as loss=20%%", ErrConfig, word)
		}
		if err := changed.set(name, value); err != nil {
			return s, err
		}
	}
	return changed, nil
}

// UnmarshalJSON changes the settings that an object names: {"loss": "20%", "delay": "50ms"}. An
// error wraps ErrConfig, and nothing is changed.
func (s *Settings) UnmarshalJSON(text []byte) error {
	var fields map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&fields); err != nil {
		return fmt.Errorf("%w: the settings are no JSON object such as {\"loss\": \"20%%\"}: %w", ErrConfig, err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fmt.Errorf("%w: something is behind the object of settings", ErrConfig)
	}
	changed := *s
	for name, value := range fields {
		switch value.(type) {
		case string, json.Number:
		default:
			return fmt.Errorf("%w: the setting %.40q is neither a text nor a number", ErrConfig, name)
		}
		if err := changed.set(name, fmt.Sprint(value)); err != nil {
			return err
		}
	}
	*s = changed
	return nil
}

// MarshalJSON writes all settings as UnmarshalJSON reads them.
func (s Settings) MarshalJSON() ([]byte, error) {
	fields := make(map[string]string)
	for _, one := range list {
		fields[one.Name] = one.get(s)
	}
	return json.Marshal(fields)
}

// check returns an error that wraps ErrConfig if a program has set what cannot be written.
func (s Settings) check() error {
	for _, one := range list {
		if err := s.set(one.Name, one.get(s)); err != nil {
			return err
		}
	}
	return nil
}

// String returns the settings that are not fair as With reads them, "fair" if all are.
func (s Settings) String() string {
	var words []string
	for _, one := range list {
		text := one.get(s)
		if text == one.get(Settings{}) {
			continue
		}
		if value, err := strconv.ParseFloat(text, 64); err == nil && one.Name != "rate" {
			text = strconv.FormatFloat(value*100, 'g', 6, 64) + "%"
		}
		words = append(words, one.Name+"="+text)
	}
	if len(words) == 0 {
		return "fair"
	}
	return strings.Join(words, " ")
}

// Fate is what becomes of a datagram.
type Fate struct {
	Lost, Twice, Overtaken bool
	Delays                 [2]time.Duration // of both copies
}

// Fate throws the dice for a datagram, all of them each time, so that one's fate does not depend on
// another's, nor one setting's on another.
func (s Settings) Fate(dice *rand.Rand) (f Fate) {
	f.Lost, f.Twice, f.Overtaken = dice.Float64() < s.Loss, dice.Float64() < s.Duplicate, dice.Float64() < s.Reorder
	for i := range f.Delays {
		f.Delays[i] = max(0, s.Delay+time.Duration((2*dice.Float64()-1)*float64(s.Jitter)))
	}
	return f
}
