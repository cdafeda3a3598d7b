package lab

import (
	"io/fs"
	"os"
	"path/filepath"
)

const (
	indexNotebook  = "index.ipynb"
	serverNotebook = "server.ipynb"
	clientNotebook = "client.ipynb"
	chatNotebook   = "chat_client.ipynb"
	// copyMark is a field of a notebook's metadata: who carries it is one of several copies, and
	// no lesson.
	copyMark = "udpkit_copy_of"
)

// writeFile writes so that a reader sees the old content or the new, never a part.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".udpkit-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // fails, and may, once it is renamed
	_, err = temp.Write(data)
	if err == nil {
		err = temp.Chmod(mode)
	}
	if closeErr := temp.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
