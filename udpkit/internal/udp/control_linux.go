package udp

import "golang.org/x/sys/unix"

const optionIPv4 = unix.IP_PKTINFO

type ifindex = int32

// answerFrom returns the address to answer from. Of a broadcast it is not the one that it was sent
// to.
func answerFrom(info *unix.Inet4Pktinfo) [4]byte { return info.Spec_dst }
