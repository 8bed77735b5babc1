/** What the two ends of our own tunnel say of themselves, asked over their control sockets (docs/CONTROL.md). */
import { statSync } from 'node:fs'
import { request } from 'node:http'

import { HOSTS } from './lab.mjs'

/** How long an end may take to say it, in milliseconds. */
const ANSWER_MS = 2000

/** The statistics of both ends, the server's first. */
export function statisticsOfBoth(device) {
  return Promise.all(HOSTS.map((host) => statistics(host, device)))
}

/** The statistics of one end. */
export async function statistics({ namespace }, device) {
  const netns = statSync(`/run/netns/${namespace}`).ino
  return (await get(`/run/zportal/${netns}/${device}.sock`, '/status')).stats
}

function get(socketPath, path) {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, timeout: ANSWER_MS }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part) => (text += part))
      response.on('error', reject)
      response.on('end', () => {
        try {
          resolve(JSON.parse(text))
        } catch (error) {
          reject(error)
        }
      })
    })
    asked.on('timeout', () => asked.destroy(new Error(`${socketPath} does not answer`)))
    asked.on('error', reject)
    asked.end()
  })
}
