package chat_test

import (
	"context"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// TestVanished: a cable is out. Both ends are told, whether something was on its way or not, and
// the name is free again.
func TestVanished(t *testing.T) {
	if !testenv.Alone(t) {
		return
	}
	assert.LessOrEqual(t, chat.DefaultLostTimeout, 30*time.Second, "what the test does in 6 s takes so long by default")
	for _, test := range []struct {
		name  string
		speak func(s *server, bob *chat.Client) error
	}{
		{"nothing is said", func(*server, *chat.Client) error { return nil }},
		{"the server has something for the client", func(s *server, _ *chat.Client) error { return s.Say("are you there?") }},
		{"the client has something for the server", func(_ *server, bob *chat.Client) error { return bob.Send("are you there?") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // each has hosts of its own
			testVanished(t, test.speak)
		})
	}
}

func testVanished(t *testing.T, speak func(*server, *chat.Client) error) {
	here, there := testenv.NewHost(t), testenv.NewHost(t)
	here.IP(t, "link add card type veth peer name card netns "+there.Namespace)
	here.IP(t, "addr add 10.77.0.1/24 dev card")
	there.IP(t, "addr add 10.77.0.2/24 dev card")
	here.IP(t, "link set card up")
	there.IP(t, "link set card up")

	s := &server{log: newLog()}
	var err error
	here.Do(func() {
		s.Server, err = chat.NewServer(chat.ServerConfig{Listen: netip.MustParseAddrPort("10.77.0.1:0"), LostTimeout: 6 * time.Second, OnEvent: s.on})
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	serving := make(chan error, 1)
	go func() { serving <- s.Run(ctx) }()
	defer func() {
		cancel()
		assert.NoError(t, <-serving)
		assert.NoError(t, s.Close())
	}()

	var bob *chat.Client
	there.Do(func() {
		bob, err = chat.Dial(ctx, chat.ClientConfig{Server: s.Addr(), Name: "bob", LostTimeout: 6 * time.Second})
	})
	require.NoError(t, err)
	defer bob.Close()
	wait(t, s.log, anyOf[chat.NameEvent])
	told := make(chan error, 1)
	go func() { told <- bob.Run(ctx) }()

	there.IP(t, "link set card down")
	cut := time.Now()
	require.NoError(t, speak(s, bob))
	select {
	case err := <-told:
		assert.ErrorIs(t, err, syscall.ETIMEDOUT)
	case <-time.After(30 * time.Second):
		assert.Fail(t, "the client was not told")
	}
	assert.Eventually(t, func() bool { return s.Stats().Left[chat.ReasonLost] == 1 }, 30*time.Second-time.Since(cut), 10*time.Millisecond, "the server was not told")
	assert.Empty(t, s.Who())
}
