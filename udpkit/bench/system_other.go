//go:build !linux

package bench

import (
	"errors"
	"io"
	"net"
	"os/exec"
	"time"
)

var errLinux = errors.New("only Linux has it")

func segment(*net.UDPConn, int) error { return errLinux }

func blocking(conn *net.UDPConn) (io.ReadWriter, error) { return conn, nil }

func cores() []int { return nil }

func startOn(cmd *exec.Cmd, _ int) error { return cmd.Start() }

func usage(int) (cpu time.Duration, wakeUps int64, err error) { return 0, 0, errLinux }

func processor() string { return "" }

func kernel() string { return "" }
