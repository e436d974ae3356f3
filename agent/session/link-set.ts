import { choosePath } from '../path/path-choice.ts'
import type { PathLink } from './path-link.ts'
import { addTraffic, NO_TRAFFIC, relayTraffic, type Traffic } from './traffic.ts'

/** Paths at a time; a peer that makes more is not looking for a better one. */
const MAX_LINKS = 12

/** The paths of one session, and which of them is to carry what we send. */
export class LinkSet {
  #links: readonly PathLink[] = []
  #preferred: PathLink | undefined
  /** Of relay links that are gone now. */
  #pastRelay: Traffic = NO_TRAFFIC

  get all(): readonly PathLink[] {
    return this.#links
  }

  get full(): boolean {
    return this.#links.length >= MAX_LINKS
  }

  get relayTraffic(): Traffic {
    return addTraffic(relayTraffic(this.#links), this.#pastRelay)
  }

  /** The one that was measured to be faster than what is best by itself. */
  get preferred(): PathLink | undefined {
    return this.#preferred
  }

  set preferred(link: PathLink | undefined) {
    this.#preferred = link
  }

  add(link: PathLink): void {
    this.#links = [...this.#links, link]
  }

  remove(link: PathLink): void {
    if (this.#links.includes(link)) this.#pastRelay = addTraffic(this.#pastRelay, relayTraffic([link]))
    this.#links = this.#links.filter(other => other !== link)
  }

  clear(): void {
    this.#links = []
  }

  /** A preference ends with the first doubt about its path: what was measured is not so any more. */
  best(): PathLink | undefined {
    const preferred = this.#preferred
    if (preferred && (!this.#links.includes(preferred) || !preferred.ready || preferred.suspect)) {
      this.#preferred = undefined
    }
    return this.#preferred ?? choosePath(this.#links)
  }
}
