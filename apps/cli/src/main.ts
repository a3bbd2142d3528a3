#!/usr/bin/env -S node --conditions=@cloister/source
