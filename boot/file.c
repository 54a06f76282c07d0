// SPDX-License-Identifier: MIT
// Reads whole files from the volume that the loader itself came from.
#include "boot/loader.h"

struct efi_file *volume_open(efi_handle image)
{
	static const struct efi_guid image_guid = EFI_LOADED_IMAGE_GUID;
	static const struct efi_guid volume_guid = EFI_SIMPLE_FILE_SYSTEM_GUID;
	struct efi_loaded_image *loaded;
	struct efi_simple_file_system *volume;
	struct efi_file *root;

	if (efi->boot->handle_protocol(image, &image_guid, (void **)&loaded) ||
	    efi->boot->handle_protocol(loaded->device, &volume_guid, (void **)&volume) ||
	    volume->open_volume(volume, &root))
		return nullptr;
	return root;
}

static reason open_by_path(struct efi_file *volume, const char *path, struct efi_file **out)
{
	efi_char name[256];
	size_t len = strlen(path);
	efi_status status;

	if (len >= sizeof(name) / sizeof(name[0]))
		return "has too long a name";
	for (size_t i = 0; i <= len; i++)
		name[i] = path[i] == '/' ? u'\\' : (unsigned char)path[i];
	status = volume->open(volume, out, name, EFI_FILE_MODE_READ, 0);
	if (status == EFI_NOT_FOUND)
		return "does not exist on the boot volume";
	return status ? "cannot be opened" : nullptr;
}

static reason read_open(struct efi_file *f, struct file *out)
{
	static const struct efi_guid info_guid = EFI_FILE_INFO_GUID;
	alignas(struct efi_file_info)
		uint8_t buf[sizeof(struct efi_file_info) + 256 * sizeof(efi_char)];
	const struct efi_file_info *info = (const struct efi_file_info *)buf;
	uint64_t buf_size = sizeof(buf);

	if (f->get_info(f, &info_guid, &buf_size, buf))
		return "has no readable size";
	if (info->attribute & EFI_FILE_DIRECTORY)
		return "is a directory";
	out->size = info->file_size;
	if (out->size > UINT64_MAX / 2)
		return "has an impossible size";
	/* One byte more, so that text is terminated. */
	out->data = pages_alloc(out->size + 1, PAGE_SIZE);
	if (!out->data)
		return "does not fit into memory";
	for (uint64_t done = 0; done < out->size;) {
		uint64_t n = out->size - done;

		if (f->read(f, &n, out->data + done))
			return "cannot be read (device error)";
		if (n == 0)
			return "is shorter than its directory entry says";
		done += n;
	}
	return nullptr;
}

reason file_read(struct efi_file *volume, const char *path, struct file *out)
{
	struct efi_file *f;
	reason why = open_by_path(volume, path, &f);

	if (why)
		return why;
	*out = (struct file){.path = path};
	why = read_open(f, out);
	f->close(f);
	return why;
}
