#!/bin/sh
# In an image with Rust, Debian's or Alpine's: builds the addon of this platform and carries traffic with it.
set -eu

if command -v apk > /dev/null; then
  apk add --no-cache nodejs npm gcc musl-dev iproute2 iputils iperf3
else
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends iproute2 iputils-ping iperf3 curl xz-utils
  # Debian's own Node is older than 20; this one is the project's, checked against its list of sums.
  version=v20.20.2
  case $(uname -m) in x86_64) arch=x64 ;; aarch64) arch=arm64 ;; esac
  file=node-$version-linux-$arch.tar.xz
  cd /tmp
  curl -fsSO "https://nodejs.org/dist/$version/$file"
  curl -fsS "https://nodejs.org/dist/$version/SHASUMS256.txt" | grep " $file\$" | sha256sum -c -
  tar -xJf "$file" -C /usr/local --strip-components=1
  cd /work
fi

npm ci
npm run build
node scripts/demo.mjs --no-ensure
