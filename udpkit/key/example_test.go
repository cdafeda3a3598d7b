package key_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// A protocol of one's own: what comes from strangers is refused, with a reason.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "class.key")
	if err := key.Create(path); err != nil { // as udpkit key new does
		panic(err)
	}
	ring, err := key.Load(path) // the same file at both ends
	if err != nil {
		panic(err)
	}
	sender := ring.Sender("greeting", key.Text, false)
	opener := ring.Opener(key.OpenerConfig{Purpose: "greeting", Form: key.Text})

	datagram := sender.Append(nil, []byte("hello"))
	content, err := opener.Open(datagram, time.Now())
	fmt.Printf("%s, %v\n", content, err)

	_, err = opener.Open([]byte("hello"), time.Now())
	fmt.Println(errors.Is(err, key.ErrUnsigned), err)
	_, err = opener.Open(datagram, time.Now())
	fmt.Println(errors.Is(err, key.ErrRepeated), err)
	// Output:
	// hello, <nil>
	// true it is not signed, and a key is set here
	// true it was sent once and came twice, or very late: it may be a recording
}
