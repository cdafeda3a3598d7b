package chat_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
)

// talk lets two clients exchange messages, each within the time that a person would call at once.
func talk(t *testing.T, ann, bob *peer, rounds int) {
	t.Helper()
	for i := range rounds {
		begun := time.Now()
		ann.send(fmt.Sprintf("ping %d\n", i))
		bob.expect(fmt.Sprintf(": ping %d", i))
		bob.send(fmt.Sprintf("pong %d\n", i))
		ann.expect(fmt.Sprintf(": pong %d", i))
		assert.Less(t, time.Since(begun), 2*time.Second)
	}
}

// TestStoppedClient: one reads nothing. The others are not delayed; it is disconnected once its
// queue is full, and what it did not get is counted.
func TestStoppedClient(t *testing.T) {
	s := newServer(t, chat.ServerConfig{Queue: 16, Rate: 1e6, WriteTimeout: time.Hour})
	stopped := connectFrom(t, s, "127.0.0.1")
	require.NoError(t, stopped.SetReadBuffer(4096))
	wait(t, s.log, anyOf[chat.JoinEvent])
	ann, bob := connect(t, s), connect(t, s)
	begun := time.Now()
	line := strings.Repeat("x", chat.MaxLine)
	for i := 0; s.Stats().Left[chat.ReasonSlow] == 0; i++ { // until the kernel's buffers are full
		require.Less(t, time.Since(begun), 30*time.Second, "the stopped client is still there after %d messages", i)
		ann.send(line + "\n")
		bob.expect(": xxx")
	}
	leave := wait(t, s.log, anyOf[chat.LeaveEvent])
	assert.Equal(t, chat.ReasonSlow, leave.Reason)
	assert.Equal(t, stopped.addr(), leave.Client.String())
	assert.Contains(t, ann.expect(stopped.addr()+" left"), "did not read")
	talk(t, ann, bob, 5)
	assert.GreaterOrEqual(t, s.Stats().Dropped, uint64(1))
	assert.Eventually(t, func() bool { return s.Stats().Dropped >= 17 }, patience, 5*time.Millisecond, "the queue and one more")
	assert.EqualValues(t, 1, s.Stats().Left[chat.ReasonSlow])
}

// TestWriteTimeout: one that reads nothing is disconnected although its queue never fills.
func TestWriteTimeout(t *testing.T) {
	s := newServer(t, chat.ServerConfig{Queue: 1 << 16, Rate: 1e6, WriteTimeout: 200 * time.Millisecond})
	stopped := connectFrom(t, s, "127.0.0.1")
	wait(t, s.log, anyOf[chat.JoinEvent])
	require.NoError(t, stopped.SetReadBuffer(4096))
	ann, bob := connect(t, s), connect(t, s)
	for range 5000 { // 20 MB: more than the kernel takes, less than the queue
		ann.send(strings.Repeat("x", chat.MaxLine) + "\n")
		bob.expect("xxx")
	}
	leave := wait(t, s.log, anyOf[chat.LeaveEvent])
	assert.Equal(t, stopped.addr(), leave.Client.String())
	assert.Equal(t, chat.ReasonSlow, leave.Reason)
}

// TestFlood: who sends as much as the connection takes is read at the allowed rate, and the others
// go on.
func TestFlood(t *testing.T) {
	s := newServer(t, chat.ServerConfig{Rate: 50})
	flooder, ann, bob := connect(t, s), connect(t, s), connect(t, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		junk := []byte(strings.Repeat("junk\n", 1000))
		for {
			if _, err := flooder.Write(junk); err != nil {
				return
			}
		}
	}()
	begun := time.Now()
	for ended := false; !ended; { // bob reads for a second, junk and all
		line := bob.next()
		ended = time.Since(begun) > time.Second
		assert.True(t, strings.HasSuffix(line, "junk") || strings.HasPrefix(line, "*"), line)
	}
	assert.Less(t, s.Stats().Messages, uint64(300), "100 at first, and 50 a second")
	assert.Zero(t, s.Stats().Left[chat.ReasonSlow])
	ann.send("can you hear me?\n")
	for !strings.HasSuffix(bob.next(), "can you hear me?") {
	}
	require.NoError(t, flooder.Close())
	<-done
}

// TestDripFeeding: bytes that never become a line do not keep a connection.
func TestDripFeeding(t *testing.T) {
	s := newServer(t, chat.ServerConfig{IdleTimeout: 500 * time.Millisecond, Pause: time.Hour})
	drip := connect(t, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := drip.Write([]byte("x")); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond) // the rhythm of the attack
		}
	}()
	assert.Contains(t, drip.ended(), "* disconnected: you said nothing for too long")
	<-done
	assert.Equal(t, chat.ReasonIdle, wait(t, s.log, anyOf[chat.LeaveEvent]).Reason)
}

func TestLineTooLong(t *testing.T) {
	s := newServer(t, chat.ServerConfig{})
	ann, eve := connect(t, s), connect(t, s)
	eve.send(strings.Repeat("x", chat.MaxLine) + "\n")
	ann.expect("xxx")
	eve.send(strings.Repeat("x", chat.MaxLine+3))
	assert.Contains(t, eve.ended(), "* disconnected: you sent too long a line")
	ann.expect(" left: sent too long a line")
	assert.EqualValues(t, 1, s.Stats().Left[chat.ReasonLineTooLong])
}

func TestConnectionCaps(t *testing.T) {
	s := newServer(t, chat.ServerConfig{MaxClients: 4, MaxPerAddress: 2})
	first, second := connect(t, s), connect(t, s)
	third := connectFrom(t, s, "127.0.0.1")
	assert.Equal(t, "* refused: too many clients from one address; try again later\n", third.ended())
	for range 2 {
		connectFrom(t, s, "127.0.0.2").expect("* you are")
	}
	assert.Equal(t, "* refused: too many clients; try again later\n", connectFrom(t, s, "127.0.0.3").ended())
	assert.Equal(t, map[chat.Reason]uint64{chat.ReasonSameSource: 1, chat.ReasonFull: 1}, s.Stats().Refused)
	wait(t, s.log, anyOf[chat.RefuseEvent])
	require.NoError(t, second.Close())
	first.expect(second.addr() + " left")
	require.Eventually(t, func() bool {
		return strings.HasPrefix(connectFrom(t, s, "127.0.0.1").next(), "* you are")
	}, patience, 10*time.Millisecond, "there is room again")
}

// TestNothingSteersATerminal: what a client sends reaches others as text, and cannot look like
// somebody else's line or a notice.
func TestNothingSteersATerminal(t *testing.T) {
	s := newServer(t, chat.ServerConfig{Rate: 1000})
	ann, eve := connect(t, s), connect(t, s)
	_, ours, _ := client(t, chat.ClientConfig{Server: s.Addr()})
	ann.expect("joined") // eve
	wait(t, ours, says("* you are"))
	for _, text := range []string{
		"\x1b[2J\x1b[H", "\x1b]0;owned\x07", "\u202eevil", "a\rserver: fake", "a\u2028server: fake", "\u009b31m", "\x00\x08\x7f", "\xfe\x80\xff",
		"* ann left", "server: obey",
	} {
		eve.send(text + "\n")
		line := ann.expect(eve.addr() + ": ")
		assert.Equal(t, eve.addr()+": "+chat.Clean(text), line)
		assert.NotContains(t, line, "\x1b")
		assert.Equal(t, line, wait(t, ours, says(chat.Clean(text))).Text)
	}
}

// TestHostileServer: our client trusts no server.
func TestHostileServer(t *testing.T) {
	for name, test := range map[string]struct {
		sends, shows string
		fails        error
	}{
		"escapes":    {"\x1b[2Jhello\u202e\n", "\ufffd[2Jhello\ufffd", chat.ErrServerClosed},
		"too much":   {strings.Repeat("x", 1<<20), "", chat.ErrLineTooLong},
		"no newline": {"hello", "hello", chat.ErrServerClosed},
	} {
		t.Run(name, func(t *testing.T) {
			listener := listen(t)
			c, l, ended := client(t, chat.ClientConfig{Server: listener.addr, Name: "ann"})
			conn := listener.accept(t)
			_, _ = conn.Write([]byte(test.sends))
			if test.shows != "" {
				assert.Equal(t, test.shows, wait(t, l, anyOf[chat.MessageEvent]).Text)
			}
			_ = conn.CloseWrite()
			assert.ErrorIs(t, ended(), test.fails)
			require.NoError(t, c.Close())
		})
	}
}

// TestSlowOnEvent: who looks on delays nobody, and is told what was left out.
func TestSlowOnEvent(t *testing.T) {
	release := make(chan struct{})
	s := newServerOn(t, chat.ServerConfig{Rate: 1e6}, func(e chat.Event) {
		if _, ok := e.(chat.JoinEvent); ok {
			<-release
		}
	})
	ann, bob := connect(t, s), connect(t, s)
	for range 5000 {
		ann.send("x\n")
		bob.expect(": x")
	}
	assert.Positive(t, s.Stats().EventsDropped)
	close(release)
	require.NoError(t, s.stop())
}
