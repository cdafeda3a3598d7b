package udp

import "golang.org/x/sys/unix"

const optionIPv4 = unix.IP_RECVPKTINFO

type ifindex = uint32

func answerFrom(info *unix.Inet4Pktinfo) [4]byte { return info.Addr }
