//go:build unix && !linux

package udpkit

// recvHeader is needed on Linux only.
type recvHeader struct{}

func (*recvHeader) init([]byte) {}

func (r *tryReader) recvmsg(fd uintptr) { r.recvmsgPortable(fd) }
