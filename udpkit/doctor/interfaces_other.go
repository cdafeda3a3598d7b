//go:build !linux

package doctor

// linkKinds is not known here; names tell.
func linkKinds() map[int]string { return nil }
