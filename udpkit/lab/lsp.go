package lab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"sync"
)

// maxLSPMessage is more than any that the kernel or gopls sends.
const maxLSPMessage = 64 << 20

// lspMessage is a request (with Method and ID), a notification (Method), or a response (ID) of the
// Language Server Protocol.
type lspMessage struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
}

// lspConn is one end of a connection. Messages are read by one goroutine and written by any.
type lspConn struct {
	net.Conn
	in *bufio.Reader
	mu sync.Mutex // of writing
}

func newLSPConn(c net.Conn) *lspConn { return &lspConn{Conn: c, in: bufio.NewReader(c)} }

func (c *lspConn) read() (m lspMessage, err error) {
	header, err := textproto.NewReader(c.in).ReadMIMEHeader()
	if err != nil {
		return m, err
	}
	length, err := strconv.Atoi(header.Get("Content-Length"))
	if err != nil || length < 0 || length > maxLSPMessage {
		return m, fmt.Errorf("a message of length %q", header.Get("Content-Length"))
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(c.in, body); err != nil {
		return m, err
	}
	return m, json.Unmarshal(body, &m)
}

func (c *lspConn) write(m lspMessage) error {
	m.Version = "2.0"
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err = fmt.Fprintf(c.Conn, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return err
}

// send writes a request, or a notification if id is nil.
func (c *lspConn) send(id json.RawMessage, method string, params any) error {
	data, err := json.Marshal(params)
	if err != nil {
		return err
	}
	return c.write(lspMessage{ID: id, Method: method, Params: data})
}
