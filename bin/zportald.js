#!/usr/bin/env node
import { main } from '../dist/zportald.js'

process.exitCode = await main(process.argv.slice(2))
