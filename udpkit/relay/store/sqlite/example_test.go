package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/sqlite"
)

// A log in a directory is there again after it was closed. A relay gets it as
// [relay.ServerConfig].Log.
func Example() {
	dir, err := os.MkdirTemp("", "log")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	log, err := sqlite.Open(ctx, sqlite.Config{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	run := relay.NewID()
	fmt.Println(log.Append(ctx, []relay.Record{
		{Run: run, Number: 1, Username: "ann", Text: "hello", At: time.Now()},
		{Run: run, Number: 2, Username: "ann", Text: "is somebody there?", At: time.Now()},
	}))
	if err := log.Close(); err != nil {
		fmt.Println(err)
	}

	log, err = sqlite.Open(ctx, sqlite.Config{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	// A record that comes again, since its writer has had no answer, is not stored again.
	fmt.Println(log.Append(ctx, []relay.Record{
		{Run: run, Number: 2, Username: "ann", Text: "is somebody there?", At: time.Now()},
		{Run: run, Number: 3, Username: "ann", Text: "bye", At: time.Now()},
	}))
	messages, err := log.Read(ctx, 1, 10)
	for _, m := range messages {
		fmt.Println(m.Seq, m.Username, m.Text)
	}
	fmt.Println(err)
	// Output:
	// [1 2] <nil>
	// [2 3] <nil>
	// 1 ann hello
	// 2 ann is somebody there?
	// 3 ann bye
	// <nil>
}

// A limit of messages: the oldest are discarded.
func ExampleConfig() {
	dir, err := os.MkdirTemp("", "log")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	log, err := sqlite.Open(ctx, sqlite.Config{Dir: dir, MaxMessages: 100, Sync: sqlite.SyncPeriodic})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	run := relay.NewID()
	for number := range uint64(250) {
		_, err := log.Append(ctx, []relay.Record{{Run: run, Number: number + 1, Username: "ann", Text: "20 degrees", At: time.Now()}})
		if err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(log.Bounds())
	// Output: 151 250
}

// A backup is made while the log is in use, and is a log itself.
func ExampleStore_Backup() {
	dir, err := os.MkdirTemp("", "log")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	log, err := sqlite.Open(ctx, sqlite.Config{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	_, err = log.Append(ctx, []relay.Record{{Run: relay.NewID(), Number: 1, Username: "ann", Text: "hello", At: time.Now()}})
	fmt.Println(err)
	copied := filepath.Join(dir, "copy")
	fmt.Println(os.Mkdir(copied, 0o700), log.Backup(ctx, filepath.Join(copied, "relay.db")))
	for m, err := range sqlite.Messages(ctx, copied, 1) {
		fmt.Println(m.Seq, m.Username, m.Text, err)
	}
	// Output:
	// <nil>
	// <nil> <nil>
	// 1 ann hello <nil>
}
