//go:build !linux

package bench

import (
	"context"
	"io"
	"net"
	"os/exec"
	"time"
)

func segment(*net.UDPConn, int) error { return errLinux }

func sinks(context.Context, int, bool, io.Reader, io.Writer) error { return errLinux }

func raw(string, string, *meter, io.Writer) error { return errLinux }

func fan(context.Context, []string, io.Writer) error { return errLinux }

func blocking(conn *net.UDPConn) (io.ReadWriter, error) { return conn, nil }

func cores() []int { return nil }

func startOn(cmd *exec.Cmd, _ int) error { return cmd.Start() }

func usage(int) (cpu time.Duration, wakeUps int64, err error) { return 0, 0, errLinux }

func processor() string { return "" }

func kernel() string { return "" }
