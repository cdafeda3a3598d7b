package chat

import (
	"net"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
)

// Recorder is told each segment of a connection. A record.File is one.
type Recorder = service.Recorder

// wire is a TCP connection, as it is or recorded.
type wire interface {
	net.Conn
	halfCloser
	SetLinger(sec int) error
}

// recorded returns a connection that is recorded if there is a recorder.
func recorded(to Recorder, conn *net.TCPConn, dialed bool) wire {
	if to == nil {
		return conn
	}
	return service.RecordConn(to, conn, dialed)
}
