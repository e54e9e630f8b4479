/* version.h - the version of all programs of this tree. */
#ifndef PBFT_BASE_VERSION_H
#define PBFT_BASE_VERSION_H

#define PBFT_VERSION "0.1.0"

#endif
